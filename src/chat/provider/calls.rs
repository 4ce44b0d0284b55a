//! Calls of tools as they come in pieces.
//!
//! OpenAI numbers the calls of an answer, names each in its first piece and sends the arguments piece
//! by piece. Those who imitate it send whole calls, leave numbers or ids out, or number all of them 0.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Delta, ToolCall};

/// The longest arguments that are kept, in bytes.
const LONGEST: usize = 256 << 10;
/// What stands for longer ones: nothing that begins so can be read.
const TOO_LONG: &str = "…";
/// The most calls of one answer that are kept.
pub const MOST: usize = 64;

/// A piece of a call. What is missing is empty.
#[derive(Debug, Default)]
pub struct Piece {
    /// The call's number within the answer.
    pub index: Option<u64>,
    /// The call's name within the reply.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// More of the arguments.
    pub arguments: String,
    /// What the service wants back with the call.
    pub extra: Option<Value>,
}

/// The calls of one answer, as far as they have come.
#[derive(Debug, Default)]
pub struct Calls(Vec<Growing>);

#[derive(Debug)]
struct Growing {
    index: Option<u64>,
    call: ToolCall,
}

impl Calls {
    /// Takes the next piece.
    pub fn add(&mut self, piece: Piece) {
        let at = self.place(&piece).unwrap_or(self.0.len());
        if at == MOST {
            return;
        }
        if at == self.0.len() {
            self.0.push(Growing { index: piece.index, call: ToolCall::default() });
        }
        let Some(Growing { call, .. }) = self.0.get_mut(at) else { return };
        for (known, said) in [(&mut call.id, piece.id), (&mut call.name, piece.name)] {
            if known.is_empty() {
                *known = said;
            }
        }
        grow(&mut call.arguments, &piece.arguments);
        call.extra = piece.extra.or(call.extra.take());
    }

    /// Adds what the service wants done, now that all of it is here.
    pub fn finish(&mut self, deltas: &mut Vec<Delta>) {
        let named = self.0.drain(..).filter(|growing| !growing.call.name.is_empty());
        deltas.extend(named.map(|growing| Delta::Call(growing.call)));
    }

    /// The call that a piece goes on with; none for one that begins. One that does not say which tool
    /// cannot begin, whatever it is called.
    fn place(&self, piece: &Piece) -> Option<usize> {
        if piece.name.is_empty() && !self.0.is_empty() {
            let last = || self.0.len().checked_sub(1).filter(|_| piece.index.is_none());
            return self.known(piece).or_else(last);
        }
        if !piece.id.is_empty() {
            return self.0.iter().rposition(|growing| {
                let is_same = growing.index == piece.index || piece.index.is_none();
                growing.call.id == piece.id && is_same
            });
        }
        let at = match piece.index {
            Some(_) => self.known(piece)?,
            None => self.0.len().checked_sub(1)?,
        };
        (!is_another(&self.0[at].call, piece)).then_some(at)
    }

    /// The call with the number of a piece or, where it has none, with its name.
    fn known(&self, piece: &Piece) -> Option<usize> {
        self.0.iter().rposition(|growing| match piece.index {
            Some(index) => growing.index == Some(index),
            None => !piece.id.is_empty() && growing.call.id == piece.id,
        })
    }
}

/// Adds to arguments. What is too long cannot be read any more: half of it could mean something else.
pub fn grow(arguments: &mut String, more: &str) {
    if arguments.len() + more.len() > LONGEST {
        TOO_LONG.clone_into(arguments);
    } else {
        arguments.push_str(more);
    }
}

/// Whether a piece without an id begins a call beside `call`: it says which tool, and that is another
/// one, or `call` is whole. Some say which tool in every piece.
fn is_another(call: &ToolCall, piece: &Piece) -> bool {
    let names_both = !piece.name.is_empty() && !call.name.is_empty();
    let is_whole = || serde_json::from_str::<IgnoredAny>(&call.arguments).is_ok();
    names_both && (piece.name != call.name || !piece.arguments.is_empty() && is_whole())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(pieces: &[(Option<u64>, &str, &str, &str)]) -> Vec<(String, String, String)> {
        let mut calls = Calls::default();
        for &(index, id, name, arguments) in pieces {
            let [id, name, arguments] = [id, name, arguments].map(str::to_owned);
            calls.add(Piece { index, id, name, arguments, extra: None });
        }
        let mut deltas = Vec::new();
        calls.finish(&mut deltas);
        let call = |delta| match delta {
            Delta::Call(call) => (call.id, call.name, call.arguments),
            other => panic!("{other:?}"),
        };
        deltas.into_iter().map(call).collect()
    }

    #[test]
    fn what_is_repeated_in_every_piece_is_one_call() {
        let one = [("a".to_owned(), "f".to_owned(), "{\"n\":1}".to_owned())];
        let pieces = ["", "{\"n\"", ":1", "}", ""];
        for index in [None, Some(0)] {
            let named = pieces.map(|piece| (index, "a", "f", piece));
            assert_eq!(added(&named), one, "{index:?}");
            let mut first = pieces.map(|piece| (index, "", "f", piece));
            first[0].1 = "a";
            assert_eq!(added(&first), one, "{index:?}");
        }
    }

    #[test]
    fn a_call_that_is_called_otherwise_later_is_one_call() {
        for ids in [["A", "B", "C"], ["", "B", ""], ["A", "", "C"]] {
            for index in [Some(0), None] {
                let pieces = [
                    (index, ids[0], "f", ""),
                    (index, ids[1], "", "{\"n\":"),
                    (index, ids[2], "", "1}"),
                ];
                let calls = added(&pieces);
                assert_eq!(calls.len(), 1, "{ids:?} {index:?}");
                assert_eq!(calls[0].2, "{\"n\":1}");
            }
        }
        let two = [(Some(0), "A", "f", ""), (Some(1), "B", "g", ""), (Some(0), "X", "", "{}")];
        assert_eq!(added(&two)[0].2, "{}");
    }

    #[test]
    fn what_has_no_name_is_no_call_and_there_is_an_end_to_all() {
        assert_eq!(added(&[(None, "", "", "{}")]), []);
        let long = "1".repeat(LONGEST);
        let cut = added(&[(None, "", "f", &long), (None, "", "", "1"), (None, "", "", "}")]);
        assert!(serde_json::from_str::<IgnoredAny>(&cut[0].2).is_err(), "{:?}", cut[0].2);
        let ids: Vec<String> = (0..100).map(|id| id.to_string()).collect();
        let many: Vec<_> = ids.iter().map(|id| (None, id.as_str(), "f", "{}")).collect();
        assert_eq!(added(&many).len(), MOST);
    }
}
