//! What a deployment's page shows, and that nothing of it becomes HTML.

use std::num::NonZeroU16;

use super::super::logs::Row;
use super::*;
use crate::domain::app::{AppId, Settings, Wish};
use crate::domain::deployment::Failure;
use crate::domain::person::TeamId;
use crate::domain::project::{Project, ProjectId, Subnet};
use crate::domain::source::Branch;

const NASTY: &str = "<img src=x onerror=alert(1)>";
const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn app(source: Source, live: Option<i64>) -> App {
    App {
        id: AppId(1),
        slug: Slug::parse("blog").unwrap(),
        project: Project {
            id: ProjectId(1),
            slug: Slug::parse("default").unwrap(),
            team: TeamId::FIRST,
            subnet: Subnet::around([10, 90, 0, 0].into()),
        },
        environment: Slug::parse("production").unwrap(),
        source,
        domains: Vec::new(),
        settings: Settings::new(NonZeroU16::MIN),
        variables: Vec::new(),
        live: live.map(DeploymentId),
        release: live.map(|_| 7),
        wish: Wish::Run,
        deleting: false,
        created: NOW,
    }
}

fn pushed(live: Option<i64>) -> App {
    app(Source::Push { branch: Branch::parse("main").unwrap() }, live)
}

fn deployment(state: Step) -> Deployment {
    Deployment {
        id: DeploymentId(70),
        app: AppId(1),
        app_slug: Slug::parse("blog").unwrap(),
        number: 7,
        trigger: Trigger::Push,
        back_to: None,
        reason: None,
        settings: Settings::new(NonZeroU16::MIN),
        commit: None,
        digest: None,
        image: None,
        addresses: Vec::new(),
        state,
        failure: None,
        created: NOW,
        ended: state.is_end().then_some(NOW),
    }
}

fn head() -> Head {
    Head {
        slug: Slug::parse("blog").unwrap(),
        project: Slug::parse("default").unwrap(),
        environment: Slug::parse("production").unwrap(),
        mark: mark(Step::Live, true),
        url: None,
        tab: "deployments",
        was_live: true,
        stopped: false,
        deleting: false,
        team: TeamId::FIRST,
        edited: Vec::new(),
    }
}

fn html(deployment: &Deployment, app: &App, events: &[(Step, Timestamp)], may: bool) -> String {
    let shown = Shown::of(deployment, app, events, may, NOW);
    ShownState { shell: &Shell::default(), head: &head(), shown: &shown }.render().unwrap()
}

#[test]
fn what_is_stored_stays_text() {
    let mut failed = deployment(Step::Failed);
    failed.failure = Some(Failure { during: Step::Building, reason: NASTY.to_owned() });
    failed.reason = Some(NASTY.to_owned());
    let html = html(&failed, &pushed(None), &[], true);
    assert!(!html.contains("<img") && html.matches("&#60;img src=x").count() == 2, "{html}");
    assert!(html.contains("It failed while building the image."), "{html}");
    let row = Row::plain(NASTY);
    assert_eq!(row.runs[0].text, NASTY);
}

#[test]
fn only_what_can_be_done_is_offered() {
    let check = |state, live, may, expect: &[&str]| {
        let html = html(&deployment(state), &pushed(live), &[], may);
        let offered: Vec<_> =
            ["/cancel\"", "/rollback\"", "/deploy\""].into_iter().filter(|way| html.contains(way)).collect();
        assert_eq!(offered, expect, "{state} {live:?} {may}");
    };
    check(Step::Queued, None, true, &["/cancel\""]);
    check(Step::Checking, Some(60), true, &["/cancel\""]);
    check(Step::Switching, Some(70), true, &[]);
    check(Step::Live, Some(70), true, &["/deploy\""]);
    check(Step::Live, Some(71), true, &["/rollback\"", "/deploy\""]);
    check(Step::Failed, Some(60), true, &["/deploy\""]);
    check(Step::Live, Some(71), false, &[]);
    check(Step::Queued, None, false, &[]);
}

#[test]
fn steps_are_done_under_way_and_ahead() {
    let at = |seconds: i64| Timestamp(NOW.0 - seconds * 1000);
    let events = [(Step::Queued, at(60)), (Step::Fetching, at(58)), (Step::Building, at(30))];
    let found = steps(&deployment(Step::Building), &pushed(None), &events, NOW);
    let found: Vec<_> = found.iter().map(|step| (step.class, step.words, step.took.as_deref())).collect();
    assert_eq!(found[0], ("", "Waiting for its turn", Some("2.0 s")));
    assert_eq!(found[2], ("now", "Building the image", Some("30 s")));
    assert_eq!(found[3], ("ahead", "Starting beside the old release", None));
    assert_eq!(found.last().unwrap().1, "Live");

    let mut back = deployment(Step::Queued);
    back.back_to = Some(5);
    let ahead = steps(&back, &pushed(None), &[(Step::Queued, NOW)], NOW);
    assert!(ahead.iter().all(|step| step.words != "Building the image"));
    let over =
        steps(&deployment(Step::Failed), &pushed(None), &[(Step::Queued, NOW), (Step::Failed, NOW)], NOW);
    assert_eq!(over.len(), 2);
}
