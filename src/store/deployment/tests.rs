//! Deployments on a real file: each move, each refusal, each list.

use super::super::testing::{FIRST, Fixture, NOW, commit, image, new_app};
use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp(NOW.0 + millis)
}

#[tokio::test]
async fn a_new_one_takes_the_place_of_those_that_wait() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let first = store
        .writer
        .enqueue(app.id, Wish { commit: Some(commit()), ..Wish::of(Trigger::Push) }, NOW)
        .await
        .unwrap();
    assert_eq!((first.deployment.number, first.superseded.len()), (1, 0));
    assert_eq!(first.deployment.commit, Some(commit()));
    assert_eq!(first.deployment.settings, new_app("blog").settings, "with its variables");

    let second = store.writer.enqueue(app.id, Wish::of(Trigger::Request), at(5)).await.unwrap();
    assert_eq!(second.deployment.number, 2);
    assert_eq!(second.superseded.iter().map(|old| old.number).collect::<Vec<_>>(), [1]);
    let old = store.reader.deployment(first.deployment.id).await.unwrap().unwrap();
    assert_eq!((old.state, old.ended), (State::Superseded, Some(at(5))));
    assert_eq!(second.superseded, std::slice::from_ref(&old));
    let events = store.reader.events(old.id).await.unwrap();
    assert_eq!(events, [(State::Queued, NOW), (State::Superseded, at(5))]);

    let mut working = second.deployment;
    working.fetch().unwrap();
    store.save(&working).await;
    let third = store.writer.enqueue(app.id, Wish::of(Trigger::Request), NOW).await.unwrap();
    assert_eq!(third.superseded, [], "one that is at work is not for the store to end");
    assert_eq!(store.reader.unfinished().await.unwrap(), [working, third.deployment]);
}

#[tokio::test]
async fn an_app_that_is_gone_or_going_is_not_deployed() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let mut ready = store.checking(&app).await;
    store.writer.begin_deletion(app.id, false).await.unwrap();
    let refused = store.writer.enqueue(app.id, Wish::of(Trigger::Request), NOW).await.unwrap_err();
    assert!(matches!(refused, EnqueueError::Deleting(_)));

    ready.switch().unwrap();
    let refused = store.writer.switch(&ready, NOW).await.unwrap_err();
    assert!(matches!(refused, SaveError::Deleting(_)));
    assert_eq!(store.reader.deployment(ready.id).await.unwrap().unwrap().state, State::Checking);

    store.writer.finish_deletion(app.id).await.unwrap();
    assert!(matches!(store.writer.save(&ready, NOW).await, Err(SaveError::Gone)));
    let refused = store.writer.enqueue(app.id, Wish::of(Trigger::Request), NOW).await.unwrap_err();
    assert!(matches!(refused, EnqueueError::NoApp));
}

#[tokio::test]
async fn the_whole_way_is_stored_as_the_domain_walks_it() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let deployment = store.live(&app).await;
    assert_eq!(store.reader.deployment(deployment.id).await.unwrap().unwrap(), deployment);
    assert_eq!(deployment.addresses, [FIRST]);
    let states: Vec<State> =
        store.reader.events(deployment.id).await.unwrap().into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, State::ALL[..8]);
    assert_eq!(store.reader.app_by_id(app.id).await.unwrap().unwrap().live, Some(deployment.id));
    assert_eq!(store.reader.releases(app.id).await.unwrap(), [deployment]);
    assert_eq!(store.reader.unfinished().await.unwrap(), []);
}

#[tokio::test]
async fn a_failure_keeps_its_words_and_its_place() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let mut deployment = store.checking(&app).await;
    deployment.fail("nothing listens on port 8080".to_owned(), at(9)).unwrap();
    store.save(&deployment).await;
    assert_eq!(store.reader.deployment(deployment.id).await.unwrap().unwrap(), deployment);
    store.writer.free_addresses(deployment.id).await.unwrap();
    assert_eq!(store.reader.releases(app.id).await.unwrap(), []);
}

#[tokio::test]
async fn who_comes_second_is_told_and_changes_nothing() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let pipeline = store.checking(&app).await;
    let (mut cancelled, mut switched) = (pipeline.clone(), pipeline);
    cancelled.cancel(NOW).unwrap();
    switched.switch().unwrap();
    store.save(&cancelled).await;
    for refused in
        [store.writer.switch(&switched, NOW).await.map(drop), store.writer.save(&switched, NOW).await]
    {
        let expected = IllegalMove { from: State::Cancelled, to: State::Switching };
        assert!(matches!(refused, Err(SaveError::Stale(stale)) if stale == expected), "{refused:?}");
    }
    assert_eq!(store.reader.deployment(cancelled.id).await.unwrap().unwrap(), cancelled);
    assert_eq!(store.reader.app_by_id(app.id).await.unwrap().unwrap().live, None);
    assert_eq!(store.reader.routes().await.unwrap().generation, 0);
    let events = store.reader.events(cancelled.id).await.unwrap();
    assert_eq!(events.last(), Some(&(State::Cancelled, NOW)));
}

#[tokio::test]
async fn a_release_is_made_live_by_either_door_and_only_with_an_address() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let mut deployment = store.checking(&app).await;
    let early = store.writer.switch(&deployment, NOW).await;
    assert!(matches!(early, Err(SaveError::Stale(_))), "it is not at Switching yet: {early:?}");

    store.writer.free_addresses(deployment.id).await.unwrap();
    deployment.switch().unwrap();
    let homeless = store.writer.switch(&deployment, NOW).await;
    assert!(matches!(homeless, Err(SaveError::NoAddress)), "{homeless:?}");

    store.writer.allocate_addresses(app.project.id, deployment.id, app.settings.replicas).await.unwrap();
    store.save(&deployment).await;
    assert_eq!(store.reader.app_by_id(app.id).await.unwrap().unwrap().live, Some(deployment.id));
    assert_eq!(store.reader.routes().await.unwrap().generation, 1);
}

#[tokio::test]
async fn one_of_an_app_is_at_work() {
    let store = Fixture::new();
    let (app, other) = (store.app("blog").await, store.app("other").await);
    let mut working = store.checking(&app).await;
    let mut next = store.enqueue(&app).await;
    next.fetch().unwrap();
    let refused = store.writer.save(&next, NOW).await.unwrap_err();
    assert!(matches!(refused, SaveError::AnotherAtWork(1)), "{refused}");
    store.checking(&other).await;

    working.cancel(NOW).unwrap();
    store.save(&working).await;
    store.save(&next).await;
}

#[tokio::test]
async fn lists_are_newest_first_and_paged() {
    let store = Fixture::new();
    let (blog, other) = (store.app("blog").await, store.app("other").await);
    for _ in 0..3 {
        store.enqueue(&blog).await;
        store.enqueue(&other).await;
    }
    let numbers = |list: &[Deployment]| list.iter().map(|one| one.number).collect::<Vec<_>>();
    let page = store.reader.deployments(Some(blog.id), None, 2).await.unwrap();
    assert_eq!(numbers(&page), [3, 2]);
    let rest = store.reader.deployments(Some(blog.id), Some(page[1].id), 2).await.unwrap();
    assert_eq!(numbers(&rest), [1]);
    let all = store.reader.deployments(None, None, 10).await.unwrap();
    assert_eq!(numbers(&all), [3, 3, 2, 2, 1, 1]);
    let second = store.reader.deployment_numbered(blog.id, 2).await.unwrap();
    assert_eq!(second.as_ref(), Some(&page[1]));
    assert_eq!(store.reader.deployment_numbered(blog.id, 4).await.unwrap(), None);
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_reads_go_on_and_room_cures_it() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let limit = |pages: i64| {
        store.writer.write(move |tx| -> Result<i64, StoreError> {
            Ok(tx.pragma_update_and_check(None, "max_page_count", pages, |row| row.get(0))?)
        })
    };
    limit(1).await.unwrap(); // as many as there are
    let mut stored = 0;
    let full = loop {
        match store.writer.enqueue(app.id, Wish::of(Trigger::Request), NOW).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, EnqueueError::Store(StoreError::DiskFull)), "{full}");
    assert!(full.to_string().contains("free some space"), "{full}");
    assert_eq!(store.reader.deployments(None, None, 1000).await.unwrap().len(), stored);

    limit(1 << 30).await.unwrap();
    assert_eq!(usize::try_from(store.enqueue(&app).await.number).unwrap(), stored + 1);
}

#[tokio::test]
async fn a_value_that_rivetr_does_not_write_is_named_without_being_shown() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let deployment = store.enqueue(&app).await;
    for (column, value) in [("commit_id", "secret"), ("state", "secret"), ("settings", "\"secret\"")] {
        let sql = format!("UPDATE deployment SET {column} = ?1");
        store
            .writer
            .write(move |tx| -> Result<(), StoreError> { Ok(tx.execute(&sql, [value]).map(drop)?) })
            .await
            .unwrap();
        let error = store.reader.deployment(deployment.id).await.unwrap_err();
        assert!(matches!(error, StoreError::Malformed(_)), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

type Move = fn(&mut Deployment) -> Result<(), IllegalMove>;

#[tokio::test]
async fn the_states_a_move_may_come_from_are_those_of_the_domain() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let queued = store.enqueue(&app).await;
    let moves: [Move; 13] = [
        |d| d.fetch(),
        |d| d.build(commit()),
        |d| d.build_content(content()),
        |d| d.adopt(image(), content(), vec![FIRST]),
        |d| d.start(image(), vec![FIRST]),
        |d| {
            (d.back_to, d.image) = (Some(1), Some(image()));
            d.restore(vec![FIRST])
        },
        |d| d.check(),
        |d| d.switch(),
        |d| d.retire(),
        |d| d.finish(NOW),
        |d| d.fail("no".to_owned(), NOW),
        |d| d.cancel(NOW),
        |d| d.supersede(NOW),
    ];
    let mut legal = BTreeSet::new();
    for from in State::ALL {
        for make in moves {
            let mut deployment = Deployment { state: from, ..queued.clone() };
            if make(&mut deployment).is_ok() {
                legal.insert((from, deployment.state));
            }
        }
    }
    let listed = State::ALL.into_iter().flat_map(|to| may_come_from(to).iter().map(move |from| (*from, to)));
    assert_eq!(legal, listed.collect());
}

fn back(to: DeploymentId, instead_of: Option<DeploymentId>) -> Return {
    Return {
        to,
        trigger: Trigger::AutoRollback,
        reason: Some("it did badly".to_owned()),
        instead_of,
        told: Vec::new(),
    }
}

#[tokio::test]
async fn what_comes_back_is_told_how_databases_are_reached_now_but_for_what_the_app_sets_itself() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let live = store.live(&app).await;
    let variable = |key: &str, value: u8| Variable {
        key: crate::domain::name::EnvKey::parse(key).unwrap(),
        value: crate::domain::secret::Sealed(vec![value]),
        secret: true,
        usage: crate::domain::variable::Usage::Run,
    };
    let return_with = async |told: Vec<Variable>| {
        let wish = Return { told, ..back(live.id, None) };
        store.writer.enqueue_return(app.id, wish, NOW).await.unwrap().unwrap().deployment.settings.variables
    };
    let own = live.settings.variables.first().unwrap().clone();
    let told = variable("DATABASE_URL", 1);
    let seen = return_with(vec![told.clone(), variable(own.key.as_str(), 9)]).await;
    assert_eq!(seen, [told, own.clone()]);
    assert_eq!(return_with(vec![]).await, [own]);
}

#[tokio::test]
async fn what_comes_back_has_all_of_the_earlier_one_but_the_number_of_containers() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let first = store.live(&app).await;
    let second = store.live(&app).await;
    let two = crate::domain::app::Replicas::new(2).unwrap();
    store.writer.scale(app.id, two).await.unwrap();

    let enqueued = store.writer.enqueue_return(app.id, back(first.id, Some(second.id)), NOW).await.unwrap();
    let mut third = enqueued.unwrap().deployment;
    assert_eq!((third.number, third.back_to, third.origin()), (3, Some(1), 1));
    assert_eq!((&third.image, &third.commit), (&first.image, &first.commit));
    assert_eq!(third.reason.as_deref(), Some("it did badly"));
    assert_eq!((&third.settings.variables, third.settings.replicas), (&first.settings.variables, two));

    let given = store.writer.allocate_addresses(app.project.id, third.id, two).await.unwrap();
    third.restore(given).unwrap();
    store.save(&third).await;
    for advance in [Deployment::check, Deployment::switch, Deployment::retire] {
        advance(&mut third).unwrap();
        store.save(&third).await;
    }
    third.finish(NOW).unwrap();
    store.save(&third).await;
    assert_eq!(store.reader.deployment(third.id).await.unwrap().unwrap(), third);

    // What brought something back stands for it.
    let fourth = store.writer.enqueue_return(app.id, back(third.id, None), NOW).await.unwrap().unwrap();
    assert_eq!(fourth.deployment.back_to, Some(1));
}

#[tokio::test]
async fn nothing_comes_back_by_itself_once_something_newer_is_asked_for() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let first = store.live(&app).await;
    let second = store.live(&app).await;
    let stale = store.writer.enqueue_return(app.id, back(first.id, Some(first.id)), NOW).await.unwrap();
    assert_eq!(stale, None, "it is not live any more");
    let waiting = store.enqueue(&app).await;
    let late = store.writer.enqueue_return(app.id, back(first.id, Some(second.id)), NOW).await.unwrap();
    assert_eq!(late, None);
    assert_eq!(store.reader.unfinished().await.unwrap(), [waiting]);
}

#[tokio::test]
async fn old_deployments_are_forgotten_but_for_those_that_are_needed() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    for _ in 0..5 {
        store.live(&app).await;
    }
    let mut waiting = store.enqueue(&app).await;
    store.writer.forget_deployments(app.id, 2, BTreeSet::from([2])).await.unwrap();
    let numbers = async || {
        let left = store.reader.deployments(Some(app.id), None, 100).await.unwrap();
        left.iter().map(|one| one.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers().await, [6, 5, 4, 2]);
    waiting.cancel(NOW).unwrap();
    store.save(&waiting).await;
    store.writer.forget_deployments(app.id, 1, BTreeSet::new()).await.unwrap();
    assert_eq!(numbers().await, [6, 5], "the live one stays");
    assert_eq!(store.enqueue(&app).await.number, 7, "no number is given twice");
}

#[tokio::test]
async fn what_was_handed_in_is_told_by_its_digest() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let wish = Wish { content: Some(content()), ..Wish::of(Trigger::Request) };
    let enqueued = store.writer.enqueue(app.id, wish, NOW).await.unwrap();
    let stored = store.reader.deployment(enqueued.deployment.id).await.unwrap().unwrap();
    assert_eq!((stored.digest.clone(), stored.commit.clone()), (Some(content()), None));
    assert_eq!(stored, enqueued.deployment);
}

fn content() -> Digest {
    Digest::of_sum([7; 32])
}

#[tokio::test]
async fn a_clock_that_jumps_loses_no_deployment_and_mixes_none_up() {
    const YEAR: i64 = 365 * 24 * 60 * 60 * 1000;
    let store = Fixture::new();
    let app = store.app("blog").await;
    let first = store.writer.enqueue(app.id, Wish::of(Trigger::Push), NOW).await.unwrap().deployment;
    let mut working = first.clone();
    working.fetch().unwrap();
    store.writer.save(&working, at(-YEAR)).await.unwrap();
    let second = store.writer.enqueue(app.id, Wish::of(Trigger::Push), at(-YEAR)).await.unwrap().deployment;
    let third = store.writer.enqueue(app.id, Wish::of(Trigger::Push), at(YEAR)).await.unwrap();
    assert_eq!(third.superseded.iter().map(|old| old.id).collect::<Vec<_>>(), [second.id]);
    let numbers = |list: Vec<Deployment>| list.iter().map(|one| one.number).collect::<Vec<_>>();
    // Whose turn it is and which is the newest follow from the order in which they came.
    assert_eq!(numbers(store.reader.unfinished().await.unwrap()), [1, 3]);
    assert_eq!(numbers(store.reader.deployments(Some(app.id), None, 9).await.unwrap()), [3, 2, 1]);
    let events = store.reader.events(first.id).await.unwrap();
    assert_eq!(events, [(State::Queued, NOW), (State::Fetching, at(-YEAR))]);
    store.writer.enqueue(app.id, Wish::of(Trigger::Push), NOW).await.unwrap();
    store.writer.forget_deployments(app.id, 1, std::collections::BTreeSet::new()).await.unwrap();
    assert_eq!(numbers(store.reader.deployments(Some(app.id), None, 9).await.unwrap()), [4, 3, 1]);
}
