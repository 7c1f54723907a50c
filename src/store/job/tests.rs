//! Jobs and their runs, on a real file.

use super::*;
use crate::domain::job::{Outcome, Run, Trigger};
use crate::store::testing::{Fixture, NOW, slug};

fn plan(name: &str) -> JobPlan {
    JobPlan {
        name: slug(name),
        schedule: Schedule::parse("0 3 * * *").unwrap(),
        zone: Some(Zone::parse("Europe/Berlin").unwrap()),
        command: Words::parse("rake 'tidy up'").unwrap(),
        place: Place::Fresh,
        limit: Duration::from_mins(5),
        catch_up: true,
        enabled: true,
    }
}

fn told(job: &Job, invocation: &str, at: i64, event: RunEvent) -> NotedRun {
    NotedRun { job: job.id, invocation: invocation.to_owned(), at: Timestamp(NOW.0 + at), event }
}

#[tokio::test]
async fn a_job_comes_back_as_it_was_said() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let job = store.writer.create_job(app.id, plan("tidy"), NOW).await.unwrap();
    assert_eq!((&job.plan, job.unit_name().as_str()), (&plan("tidy"), "rivetr-job-blog_tidy"));
    assert_eq!(store.reader.job(app.id, &slug("tidy")).await.unwrap().as_ref(), Some(&job));
    let other = JobPlan {
        schedule: Schedule::parse("Mon..Fri 08:00").unwrap(),
        zone: None,
        place: Place::Running,
        catch_up: false,
        enabled: false,
        ..plan("tidy")
    };
    let changed = store.writer.change_job(job.id, other.clone()).await.unwrap();
    assert_eq!(changed, Job { plan: other, ..job.clone() });
    assert_eq!(store.reader.jobs(None).await.unwrap(), [changed]);
    store.writer.delete_job(&job).await.unwrap();
    store.writer.delete_job(&job).await.unwrap();
    assert_eq!(store.reader.jobs(Some(app.id)).await.unwrap(), []);
    let gone = store.writer.change_job(job.id, plan("tidy")).await.unwrap_err();
    assert!(matches!(gone, JobError::NoJob), "{gone}");
}

#[tokio::test]
async fn an_app_has_so_many_each_of_its_own_name_and_none_once_it_goes() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    for number in 0..Job::MAX {
        store.writer.create_job(app.id, plan(&format!("job{number}")), NOW).await.unwrap();
    }
    let check = async |name: &str, expect: &str| {
        let refused = store.writer.create_job(app.id, plan(name), NOW).await.unwrap_err();
        assert!(refused.to_string().contains(expect), "{refused}");
    };
    check("job0", "there is a job job0 already").await;
    check("more", "blog has 16 jobs").await;
    let first = store.writer.resident_address(&app.project, "rivetr-job-blog_job0").await.unwrap();
    store.writer.begin_deletion(app.id, false).await.unwrap();
    check("late", "is being deleted").await;
    store.writer.delete_jobs_of(app.id).await.unwrap();
    store.writer.delete_jobs_of(app.id).await.unwrap();
    assert_eq!(store.reader.jobs(None).await.unwrap(), []);
    let other = store.writer.resident_address(&app.project, "rivetr-job-blog_job0").await.unwrap();
    assert_ne!(first, other, "its address was not given back");
    store.writer.finish_deletion(app.id).await.unwrap();
}

#[tokio::test]
async fn a_run_is_there_once_however_often_it_is_told_of() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let job = store.writer.create_job(app.id, plan("tidy"), NOW).await.unwrap();
    let all = [
        told(&job, "a", 1, RunEvent::Began),
        told(&job, "a", 5, RunEvent::Ended(Outcome::Succeeded)),
        told(&job, "b", 6, RunEvent::Began),
        told(&job, "b", 7, RunEvent::Exited(3)),
        told(&job, "b", 8, RunEvent::Failed),
        told(&job, "c", 9, RunEvent::Exited(125)),
        told(&job, "c", 9, RunEvent::Failed),
        told(&job, "d", 10, RunEvent::Ended(Outcome::TimedOut)),
        told(&job, "e", 11, RunEvent::Began),
    ];
    for cursor in ["one", "two"] {
        store.writer.note_runs(all.to_vec(), Some(cursor.to_owned())).await.unwrap();
    }
    assert_eq!(store.reader.job_journal().await.unwrap().as_deref(), Some("two"));
    let runs = store.reader.runs(job.id, None, 10).await.unwrap();
    let seen: Vec<_> = runs
        .iter()
        .rev()
        .map(|run| (run.invocation.as_str(), run.began.0 - NOW.0, run.ended.map(|(_, outcome)| outcome)))
        .collect();
    let expect = [
        ("a", 1, Some(Outcome::Succeeded)),
        ("b", 6, Some(Outcome::Failed(3))),
        ("c", 9, Some(Outcome::NotStarted)),
        ("d", 10, Some(Outcome::TimedOut)),
        ("e", 11, None),
    ];
    assert_eq!(seen, expect);
    let last = runs.first().unwrap().clone();
    assert_eq!(store.reader.open_runs().await.unwrap(), std::slice::from_ref(&last));
    assert_eq!(store.reader.last_runs().await.unwrap(), [(job.id, last.clone())].into());
    assert_eq!(store.reader.runs(job.id, Some(last.id), 1).await.unwrap()[0].invocation, "d");

    store.writer.cancel_run(last.id).await.unwrap();
    store.writer.note_runs(vec![told(&job, "e", 12, RunEvent::Failed)], None).await.unwrap();
    let ended = store.reader.run(job.id, last.id).await.unwrap().unwrap();
    assert_eq!(ended.ended, Some((Timestamp(NOW.0 + 12), Outcome::Cancelled)));

    store.writer.delete_job(&job).await.unwrap();
    store.writer.note_runs(all.to_vec(), None).await.unwrap();
    assert_eq!(store.reader.last_runs().await.unwrap().len(), 0, "of a job that is gone nothing is kept");
}

#[tokio::test]
async fn the_first_run_after_a_person_asked_is_theirs_and_old_ones_are_forgotten() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let job = store.writer.create_job(app.id, plan("tidy"), NOW).await.unwrap();
    store.writer.ask_for_run(job.id, Some(Timestamp(NOW.0 + 5000))).await.unwrap();
    let began = |name: &str, at| told(&job, name, at, RunEvent::Began);
    let runs = vec![began("before", 0), began("mine", 5001), began("mine", 5001), began("after", 9000)];
    store.writer.note_runs(runs, None).await.unwrap();
    let runs = store.reader.runs(job.id, None, 10).await.unwrap();
    let seen: Vec<_> = runs.iter().map(|run| (run.invocation.as_str(), run.trigger)).collect();
    let expect = [("after", Trigger::Schedule), ("mine", Trigger::Hand), ("before", Trigger::Schedule)];
    assert_eq!(seen, expect);
    let many = (0..2 * i64::from(Run::KEPT)).map(|at| began(&at.to_string(), 10_000 + at));
    store.writer.note_runs(many.collect(), None).await.unwrap();
    assert_eq!(store.reader.runs(job.id, None, 1000).await.unwrap().len(), Run::KEPT as usize);
}
