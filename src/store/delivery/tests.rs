//! Deliveries: each counts once, asks for one deployment, and is forgotten in time.

use super::super::testing::{Fixture, NOW, commit};
use super::*;
use crate::domain::app::App;

fn new(app: &App, name: &str, body: &str, verdict: Verdict) -> NewDelivery {
    let mut body_hash = [0; 32];
    body_hash[..body.len()].copy_from_slice(body.as_bytes());
    NewDelivery {
        target: Target::App(app.id),
        provider: Provider::Github,
        name: Some(name.to_owned()),
        event: "push".to_owned(),
        body: Some(body.as_bytes().to_vec()),
        body_hash: Some(body_hash),
        judgement: verdict.because("a test"),
        injected: Vec::new(),
        replay_of: None,
    }
}

fn refused(app: &App) -> NewDelivery {
    NewDelivery { body: None, body_hash: None, ..new(app, "x", "", Verdict::Refused) }
}

fn at(days: i64) -> Timestamp {
    Timestamp(NOW.0 + days * 24 * 60 * 60 * 1000)
}

fn first(taken: Taken) -> (Delivery, Option<Box<Enqueued>>) {
    match taken {
        Taken::First { delivery, enqueued } => (delivery, enqueued),
        Taken::Again(before) => panic!("it came before, as {before:?}"),
    }
}

#[tokio::test]
async fn a_delivery_asks_for_one_deployment_however_often_it_comes() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let delivery = new(&app, "one", "body", Verdict::Deployed);
    let (taken, enqueued) = first(store.writer.take_delivery(delivery.clone(), NOW).await.unwrap());
    let deployment = enqueued.unwrap().deployment;
    assert_eq!((deployment.trigger, deployment.commit), (Trigger::Webhook, None));
    assert_eq!((taken.verdict, taken.deployment), (Verdict::Deployed, Some(deployment.id)));

    let same_body = NewDelivery { name: Some("two".to_owned()), ..delivery.clone() };
    let same_name = new(&app, "one", "other", Verdict::Deployed);
    for copy in [delivery.clone(), same_body, same_name] {
        for day in [0, 6] {
            let again = store.writer.take_delivery(copy.clone(), at(day)).await.unwrap();
            assert_eq!(again, Taken::Again(taken.clone()));
        }
    }
    assert_eq!(store.reader.deployments(Some(app.id), None, 10).await.unwrap().len(), 1);
    let (found, body) = store.reader.delivery(taken.id).await.unwrap().unwrap();
    assert_eq!((found, body.as_deref()), (taken, Some(b"body".as_slice())));

    // Of another provider, to another app, or long after, it is another one.
    let other = store.app("other").await;
    let gitea = NewDelivery { provider: Provider::Gitea, ..delivery.clone() };
    first(store.writer.take_delivery(gitea, NOW).await.unwrap());
    first(
        store
            .writer
            .take_delivery(NewDelivery { target: Target::App(other.id), ..delivery.clone() }, NOW)
            .await
            .unwrap(),
    );
    first(store.writer.take_delivery(delivery, at(7)).await.unwrap());
}

#[tokio::test]
async fn without_a_number_the_body_alone_tells() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    for body in ["a", "b"] {
        let unnamed = NewDelivery { name: None, ..new(&app, "", body, Verdict::Ignored) };
        first(store.writer.take_delivery(unnamed.clone(), NOW).await.unwrap());
        assert!(matches!(store.writer.take_delivery(unnamed, NOW).await.unwrap(), Taken::Again(_)));
    }
}

#[tokio::test]
async fn what_was_refused_or_is_a_replay_keeps_nothing_out() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    first(store.writer.take_delivery(refused(&app), NOW).await.unwrap());
    let (taken, _) = first(store.writer.take_delivery(new(&app, "x", "", Verdict::Ping), NOW).await.unwrap());
    let replay = NewDelivery { replay_of: Some(taken.id), ..refused(&app) };
    let (replayed, _) = first(store.writer.take_delivery(replay, NOW).await.unwrap());
    assert_eq!(replayed.replay_of, Some(taken.id));
    let listed = store.reader.deliveries(Target::App(app.id), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.id.0).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(store.reader.deliveries(Target::App(app.id), Some(taken.id), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_log_is_bounded_and_strangers_push_nothing_out() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let kept = async || store.reader.deliveries(Target::App(app.id), None, 2000).await.unwrap();
    store.writer.take_delivery(new(&app, "mine", "mine", Verdict::Ping), NOW).await.unwrap();
    for _ in 0..REFUSED_MAX + 20 {
        store.writer.take_delivery(refused(&app), NOW).await.unwrap();
    }
    let listed = kept().await;
    assert_eq!(listed.len(), 51);
    assert_eq!(listed.last().unwrap().verdict, Verdict::Ping);
    for n in 0..KEPT_MAX {
        let name = n.to_string();
        store.writer.take_delivery(new(&app, &name, &name, Verdict::Ping), NOW).await.unwrap();
    }
    assert_eq!(kept().await.len(), 1000);
    store.writer.take_delivery(new(&app, "late", "late", Verdict::Ping), at(7)).await.unwrap();
    assert_eq!(kept().await.len(), 1);
}

#[tokio::test]
async fn an_app_that_goes_takes_its_deliveries_with_it_and_is_not_deployed() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    store.writer.take_delivery(new(&app, "a", "a", Verdict::Deployed), NOW).await.unwrap();
    store.writer.begin_deletion(app.id, false).await.unwrap();
    let late = store.writer.take_delivery(new(&app, "b", "b", Verdict::Deployed), NOW).await.unwrap();
    let (late, enqueued) = first(late);
    assert_eq!((late.verdict, late.deployment, enqueued), (Verdict::Failed, None, None));
    assert!(late.reason.contains("being deleted"), "{}", late.reason);
    store.writer.finish_deletion(app.id).await.unwrap();
    assert_eq!(store.reader.delivery(late.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_commit_that_was_judged_is_no_news() {
    let store = Fixture::new();
    let (app, other) = (store.app("blog").await, store.app("other").await);
    assert!(!store.reader.knows_commit(Target::App(app.id), &commit()).await.unwrap());
    let mut skipped = new(&app, "a", "a", Verdict::Skipped);
    skipped.judgement.head = Some(commit());
    store.writer.take_delivery(skipped, NOW).await.unwrap();
    assert!(store.reader.knows_commit(Target::App(app.id), &commit()).await.unwrap());
    assert!(!store.reader.knows_commit(Target::App(other.id), &commit()).await.unwrap());
    store.live(&other).await;
    assert!(store.reader.knows_commit(Target::App(other.id), &commit()).await.unwrap());
}

#[tokio::test]
async fn a_delivery_counts_once_also_when_the_clock_is_set_back() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let delivery = new(&app, "one", "body", Verdict::Deployed);
    let (taken, _) = first(store.writer.take_delivery(delivery.clone(), NOW).await.unwrap());
    for days in [-400, -1, 0] {
        let again = store.writer.take_delivery(delivery.clone(), at(days)).await.unwrap();
        assert_eq!(again, Taken::Again(taken.clone()));
    }
}

#[tokio::test]
async fn a_delivery_to_a_service_asks_for_a_revision_of_nobody_in_particular() {
    let store = Fixture::new();
    let shop = store.service("shop").await;
    let to_shop = |name: &str| {
        let of_app = NewDelivery {
            target: Target::Service(shop.id),
            provider: Provider::Github,
            name: Some(name.to_owned()),
            event: "push".to_owned(),
            body: Some(name.as_bytes().to_vec()),
            body_hash: Some([u8::try_from(name.len()).unwrap(); 32]),
            judgement: Verdict::Deployed.because("a test"),
            injected: Vec::new(),
            replay_of: None,
        };
        store.writer.take_delivery(of_app, NOW)
    };
    let (refused, _) = first(to_shop("1").await.unwrap());
    assert_eq!((refused.verdict, refused.revision), (Verdict::Failed, None), "{}", refused.reason);

    let url = crate::domain::source::GitUrl::parse("https://git.example.org/shop.git").unwrap();
    let branch = crate::domain::source::Branch::parse("main").unwrap();
    let reference = crate::domain::source::Reference::Branch(branch);
    let git = crate::domain::source::GitSource::new(url, reference);
    let followed = crate::domain::service::Followed { git, file: None, variables: None };
    store.writer.set_service_source(shop.id, Some(followed)).await.unwrap();
    let (taken, enqueued) = first(to_shop("22").await.unwrap());
    assert!(enqueued.is_none());
    assert_eq!((taken.verdict, taken.revision, taken.slug.as_str()), (Verdict::Deployed, Some(1), "shop"));
    assert!(matches!(to_shop("22").await.unwrap(), Taken::Again(_)));
    let asked = store.reader.revisions(shop.id).await.unwrap();
    assert_eq!((asked.len(), asked[0].administrator), (1, false));
    let listed = store.reader.deliveries(Target::Service(shop.id), None, 10).await.unwrap();
    assert_eq!(listed, [taken, refused]);
}
