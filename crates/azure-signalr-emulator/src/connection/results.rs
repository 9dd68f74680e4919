//! What clients answer when the service calls them: each answer finds the one who asked.
//!
//! A client answers as it likes: twice, late, or to questions nobody asked. Only a first answer to an open question counts.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::protocol::Outcome;
use crate::random;

/// The client is gone, and with it whoever would have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoResult;

/// The open questions to one client.
#[derive(Debug, Default)]
pub(crate) struct Results(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    questions: HashMap<String, oneshot::Sender<Outcome>>,
    over: bool,
}

/// A question that was asked. Dropping it gives up the answer.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    results: &'a Results,
    pub(crate) id: String,
    answer: oneshot::Receiver<Outcome>,
}

impl Results {
    /// Opens a question under an id of its own.
    pub(crate) fn ask(&self) -> Question<'_> {
        let (sender, answer) = oneshot::channel();
        let id = random::id();
        let mut open = self.lock();
        if !open.over {
            open.questions.insert(id.clone(), sender);
        }
        Question { results: self, id, answer }
    }

    /// Gives an answer to who asked. False when nobody did, or does not wait any more.
    pub(super) fn answer(&self, id: &str, outcome: Outcome) -> bool {
        let question = self.lock().questions.remove(id);
        question.is_some_and(|question| question.send(outcome).is_ok())
    }

    /// Nobody will answer any more.
    pub(super) fn end(&self) {
        *self.lock() = Open { over: true, ..Open::default() };
    }

    /// A panic elsewhere cannot leave the map half changed, so poison says nothing.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question<'_> {
    /// Waits for the answer. The caller bounds the time it may take.
    pub(crate) async fn answered(&mut self) -> Result<Outcome, NoResult> {
        (&mut self.answer).await.map_err(|_| NoResult)
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.results.lock().questions.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_answer_counts_and_a_question_is_forgotten_with_whoever_asked() {
        let results = Results::default();
        let mut question = results.ask();
        let id = question.id.clone();
        assert!(results.answer(&id, Outcome::Void));
        assert!(!results.answer(&id, Outcome::Error("late".into())));
        assert!(matches!(question.answered().await, Ok(Outcome::Void)));
        let given_up = results.ask().id.clone();
        assert!(!results.answer(&given_up, Outcome::Void));
        assert!(results.lock().questions.is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_client_that_is_gone() {
        let results = Results::default();
        let mut before = results.ask();
        results.end();
        assert!(matches!(before.answered().await, Err(NoResult)));
        assert!(matches!(results.ask().answered().await, Err(NoResult)));
    }
}
