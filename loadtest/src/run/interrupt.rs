//! Ctrl-C, once and twice.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Counts requests to end (SIGINT or SIGTERM).
#[derive(Clone, Debug)]
pub struct Interrupts {
    count: watch::Receiver<u32>,
}

impl Interrupts {
    /// Starts to listen; from now on the signals do not end the process.
    pub fn listen() -> std::io::Result<Self> {
        let (sender, count) = watch::channel(0);
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::spawn(async move {
            while either(&mut interrupt, &mut terminate).await {
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count })
    }

    pub fn count(&self) -> u32 {
        *self.count.borrow()
    }

    /// Waits until the count reaches `count`.
    pub async fn reach(&mut self, count: u32) {
        // The sender lives as long as the runtime.
        let _reached = self.count.wait_for(|so_far| *so_far >= count).await;
    }
}

async fn either(first: &mut Signal, second: &mut Signal) -> bool {
    tokio::select! {
        came = first.recv() => came.is_some(),
        came = second.recv() => came.is_some(),
    }
}
