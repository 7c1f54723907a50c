//! A wait that is begun and ended for every request, with one timer that is seldom touched.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A wait that may be begun, ended and begun again.
///
/// The timer is not set anew where it goes off too early: it is looked at again then.
#[derive(Default)]
pub(super) struct Deadline {
    timer: Option<Pin<Box<Sleep>>>,
    begun: Option<Instant>,
}

impl Deadline {
    /// Begins the wait if it has not begun; ready once `limit` is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let due = *self.begun.get_or_insert_with(Instant::now) + limit;
        self.poll_until(cx, due)
    }

    /// Ready once it is `due`, which may be another time with each call.
    pub(super) fn poll_until(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }

    /// Ends the wait.
    pub(super) fn disarm(&mut self) {
        self.begun = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_begins_anew_after_its_end() {
        let (mut deadline, start) = (Deadline::default(), Instant::now());
        let limit = Duration::from_secs(10);
        let mut wait = async |seconds| {
            let over = tokio::time::sleep(Duration::from_secs(seconds));
            tokio::pin!(over);
            let late = poll_fn(|cx| match over.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(false),
                Poll::Pending => deadline.poll(cx, limit).map(|()| true),
            });
            let late = late.await;
            deadline.disarm();
            late
        };
        assert!(!wait(6).await);
        assert!(!wait(6).await, "the first wait is over");
        assert!(wait(20).await);
        assert_eq!(start.elapsed().as_secs(), 22);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_may_move() {
        let (mut deadline, start) = (Deadline::default(), Instant::now());
        for (due, after) in [(10, 10), (12, 12), (11, 12), (30, 30)] {
            poll_fn(|cx| deadline.poll_until(cx, start + Duration::from_secs(due))).await;
            assert_eq!(start.elapsed().as_secs(), after);
        }
    }
}
