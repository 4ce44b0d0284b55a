//! Whatever bytes a stream is made of and however they are cut: the events are the same, none is
//! larger than the bound, and what is written can be read again.

#![no_main]

use breezeway::chat::sse::{Decoder, Event, encode};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 10;

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, bool) {
    let mut decoder = Decoder::with_limit(LIMIT);
    let mut events = Vec::new();
    for piece in pieces {
        match decoder.push(piece) {
            Ok(more) => events.extend(more),
            Err(_) => return (events, true),
        }
    }
    (events, false)
}

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (bytes, size) = input;
    let (whole, too_long) = decode(std::iter::once(bytes.as_slice()));
    let (in_pieces, too_long_in_pieces) = decode(bytes.chunks(usize::from(size).max(1)));
    assert_eq!(too_long, too_long_in_pieces);
    // An error hides the events of its own piece only.
    if !too_long {
        assert_eq!(whole, in_pieces);
    }
    for event in &in_pieces {
        assert!(event.data.len() <= LIMIT);
        let again = encode(Some(&event.event), None, &event.data);
        let (again, _) = decode(std::iter::once(again.as_bytes()));
        assert_eq!(again.len(), 1);
        assert_eq!((&again[0].event, &again[0].data), (&event.event, &event.data));
    }
});
