//! One policy for everything that is tried again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

/// The first pause: shorter ones only add load to a server that is busy.
const FIRST: Duration = Duration::from_millis(100);
/// The longest: a server that is back is noticed within it.
const LONGEST: Duration = Duration::from_secs(15);

/// The pauses between attempts, without end: doubling, each with a random part, so that many senders do not come back at
/// once.
pub fn delays() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times()
        .build()
}
