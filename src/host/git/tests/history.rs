//! What lies between two commits, asked of the real git.

use super::super::history::LISTED;
use super::*;

fn subjects(history: &History) -> Vec<&str> {
    history.last.iter().map(|one| one.subject.as_str()).collect()
}

#[tokio::test]
async fn what_lies_between_two_commits_is_listed_both_ways() {
    let scene = Scene::new().await;
    let work = scene.work().join(".git");
    let between = async |old: &CommitId, new: &CommitId| scene.git.between(&work, old, new).await.unwrap();
    let first = scene.commit("Begin").await;
    scene.commit("<b>Second</b>\n\nWith a body.").await;
    let third = scene.commit("Third").await;
    let forward = between(&first, &third).await.unwrap();
    assert_eq!(subjects(&forward.added), ["Third", "<b>Second</b>"]);
    assert_eq!((forward.added.last[0].commit.clone(), forward.added.more), (third.clone(), 0));
    assert_eq!(forward.added.last[0].date.len(), 10, "{}", forward.added.last[0].date);
    assert_eq!(forward.removed, History::default());
    let back = between(&third, &first).await.unwrap();
    assert_eq!((subjects(&back.removed), back.added), (vec!["Third", "<b>Second</b>"], History::default()));
    scene.person(&["checkout", "--quiet", "-b", "other", first.as_str()]).await;
    let other = scene.commit("Elsewhere").await;
    let across = between(&third, &other).await.unwrap();
    assert_eq!((subjects(&across.added), across.removed.last.len()), (vec!["Elsewhere"], 2));
    assert_eq!(between(&first, &first).await.unwrap(), Between::default());

    // What is not there, or has nothing to do with it, is not made up.
    let unknown = CommitId::parse(&"a".repeat(40)).unwrap();
    assert_eq!(between(&first, &unknown).await, None);
    let tree = scene.person(&["rev-parse", "HEAD^{tree}"]).await;
    assert_eq!(between(&first, &CommitId::parse(&tree).unwrap()).await, None);
    scene.person(&["checkout", "--quiet", "--orphan", "alone"]).await;
    let alone = scene.commit("Alone").await;
    assert_eq!(between(&first, &alone).await, None);
}

#[tokio::test]
async fn many_commits_are_counted() {
    let scene = Scene::new().await;
    let work = scene.work().join(".git");
    let first = scene.commit("Begin").await;
    let mut last = first.clone();
    for number in 0..LISTED + 3 {
        last = scene.commit(&format!("{number}")).await;
    }
    let found = scene.git.between(&work, &first, &last).await.unwrap().unwrap().added;
    assert_eq!((found.last.len(), found.more), (LISTED, 3));
    assert_eq!(found.last[0].subject, (LISTED + 2).to_string());
}
