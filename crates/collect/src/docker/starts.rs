//! Which containers are started, as Docker tells it: one that runs for a moment would be missed between two looks.

use serde::Deserialize;

use super::api::{Answer, Api};

/// Starts of containers: `{"type":["container"],"event":["start"]}`.
const EVENTS: &str =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%5D%7D";
/// An event has a few hundred bytes, and the labels of its container.
const LONGEST: usize = 1 << 20;

/// The stream of starts.
#[derive(Default)]
pub(super) struct Starts {
    answer: Option<Answer>,
    buffer: Vec<u8>,
}

impl Starts {
    /// Begins to listen; closed again if Docker does not have it so.
    pub(super) async fn open(api: &Api) -> Self {
        let answer = api.get(EVENTS).await.ok().filter(|answer| answer.status.is_success());
        Self { answer, buffer: Vec::new() }
    }

    /// Whether starts are told.
    pub(super) const fn is_open(&self) -> bool {
        self.answer.is_some()
    }

    /// Waits for the next start and tells the container's id, or that the stream is over; for ever if it is not open.
    /// Nothing is lost if the waiting is given up.
    pub(super) async fn next(&mut self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Event {
            actor: Actor,
        }
        #[derive(Deserialize)]
        struct Actor {
            #[serde(rename = "ID")]
            id: String,
        }
        loop {
            while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if let Ok(event) = serde_json::from_slice::<Event>(&line) {
                    return Some(event.actor.id);
                }
            }
            let Some(answer) = &mut self.answer else { return std::future::pending().await };
            match answer.next().await {
                Some(Ok(bytes)) if self.buffer.len() + bytes.len() <= LONGEST => {
                    self.buffer.extend_from_slice(&bytes);
                }
                _ => {
                    self.answer = None;
                    return None;
                }
            }
        }
    }
}
