//! Calls of tools as they come in pieces.
//!
//! OpenAI numbers the calls of an answer, names each in its first piece and sends the arguments piece
//! by piece. Those who imitate it send whole calls, leave numbers or ids out, or number all of them 0.

use serde::de::IgnoredAny;

use super::{Delta, ToolCall};

/// The longest arguments that are kept, in bytes; longer ones are cut, and so cannot be read.
const LONGEST: usize = 256 << 10;
/// The most calls of one answer that are kept.
const MOST: usize = 64;

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
        if call.arguments.len() + piece.arguments.len() <= LONGEST {
            call.arguments.push_str(&piece.arguments);
        }
    }

    /// Adds what the service wants done, now that all of it is here.
    pub fn finish(&mut self, deltas: &mut Vec<Delta>) {
        let named = self.0.drain(..).filter(|growing| !growing.call.name.is_empty());
        deltas.extend(named.map(|growing| Delta::Call(growing.call)));
    }

    /// The call that a piece goes on with; none for one that begins.
    fn place(&self, piece: &Piece) -> Option<usize> {
        if !piece.id.is_empty() {
            return self.0.iter().rposition(|growing| {
                let is_same = growing.index == piece.index || piece.index.is_none();
                growing.call.id == piece.id && is_same
            });
        }
        let at = match piece.index {
            Some(index) => self.0.iter().rposition(|growing| growing.index == Some(index))?,
            None => self.0.len().checked_sub(1)?,
        };
        (!is_another(&self.0[at].call, piece)).then_some(at)
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
            calls.add(Piece { index, id, name, arguments });
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
    fn what_has_no_name_is_no_call_and_there_is_an_end_to_all() {
        assert_eq!(added(&[(None, "", "", "{}")]), []);
        let long = "x".repeat(LONGEST);
        let cut = added(&[(None, "", "f", &long), (None, "", "", "y")]);
        assert_eq!(cut[0].2.len(), LONGEST);
        let ids: Vec<String> = (0..100).map(|id| id.to_string()).collect();
        let many: Vec<_> = ids.iter().map(|id| (None, id.as_str(), "f", "{}")).collect();
        assert_eq!(added(&many).len(), MOST);
    }
}
