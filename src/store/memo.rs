//! What was read from the database, until something is written: one Breezeway has its database to
//! itself, so nobody else can make it untrue.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many answers are kept.
const MOST: usize = 20_000;
/// For how long: who writes and does not wait for the end may be told too early that it is over.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// Answers by the questions they were given to. Cheap to clone.
#[derive(Debug)]
pub struct Memo<V>(Arc<Mutex<Answers<V>>>);

#[derive(Debug)]
struct Answers<V> {
    /// How often something was written.
    writes: u64,
    known: HashMap<String, (Instant, V)>,
}

impl<V> Clone for Memo<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Answers { writes: 0, known: HashMap::new() })))
    }
}

impl<V: Clone> Memo<V> {
    /// What is known, or else what `read` finds, which is known from then on; unless something was
    /// written while it read.
    pub async fn get<E>(
        &self,
        question: String,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let writes = {
            let answers = self.answers();
            if let Some((at, known)) = answers.known.get(&question)
                && at.elapsed() < KEPT_FOR
            {
                return Ok(known.clone());
            }
            answers.writes
        };
        let found = read.await?;
        let mut answers = self.answers();
        if answers.writes == writes {
            if answers.known.len() >= MOST {
                answers.known.clear();
            }
            answers.known.insert(question, (Instant::now(), found.clone()));
        }
        Ok(found)
    }

    /// To be called once something has been written.
    pub fn forget(&self) {
        let mut answers = self.answers();
        answers.writes += 1;
        answers.known.clear();
    }

    fn answers(&self) -> MutexGuard<'_, Answers<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(memo: &Memo<u32>, found: u32) -> u32 {
        memo.get("x".to_owned(), async { Ok::<_, ()>(found) }).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_known_is_not_read_until_something_is_written() {
        let memo = Memo::default();
        assert_eq!((get(&memo, 1).await, get(&memo, 2).await), (1, 1));
        memo.forget();
        assert_eq!(get(&memo, 3).await, 3);
    }

    #[tokio::test]
    async fn what_was_read_before_a_write_is_not_kept() {
        let memo: Memo<u32> = Memo::default();
        let other = memo.clone();
        let read = async move {
            other.forget();
            Ok::<_, ()>(1)
        };
        assert_eq!(memo.get("x".to_owned(), read).await, Ok(1));
        assert_eq!(get(&memo, 2).await, 2);
    }
}
