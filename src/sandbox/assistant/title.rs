//! Titles for conversations. The sandbox's assistant has no wit of its own, so a title is the question
//! without what people say around one.

/// How a request for a title begins.
const TASK: &str = "Give the conversation below a title";
/// What people say around a question, in lower case.
const AROUND: &[&str] = &[
    "can you",
    "could you",
    "please",
    "show me",
    "give me",
    "tell me",
    "list",
    "find",
    "i need",
    "i want",
    "what are",
    "what is",
    "hello",
    "hi",
    "hey",
    "the",
    "all",
    "me",
];
/// The longest title, in words.
const WORDS: usize = 8;

/// The title that a request asks for; none where it asks for something else.
pub(crate) fn title(request: &str) -> Option<String> {
    let told = request.trim_start().strip_prefix(TASK)?;
    let question = told.split("Question:").nth(1)?.split("Reply:").next()?;
    let words = question.split_whitespace().filter(|word| !word.starts_with('/'));
    let question = words.collect::<Vec<_>>().join(" ");
    let mut core = question.as_str();
    while let Some(rest) = AROUND.iter().find_map(|around| without(core, around)) {
        core = rest;
    }
    let core = if core.is_empty() { question.as_str() } else { core };
    let core: Vec<&str> = core.split(' ').take(WORDS).collect();
    let core = core.join(" ");
    let end = ['?', '.', '!', ',', ' '];
    let core = core.trim_end_matches(end);
    let core = core.strip_suffix("please").unwrap_or(core).trim_end_matches(end);
    let mut letters = core.chars();
    let first = letters.next()?;
    Some(first.to_uppercase().chain(letters).collect())
}

/// `text` without the words it begins with.
fn without<'a>(text: &'a str, around: &str) -> Option<&'a str> {
    let begin = text.get(..around.len()).filter(|begin| begin.eq_ignore_ascii_case(around))?;
    let rest = &text[begin.len()..];
    let is_whole = rest.is_empty() || rest.starts_with([' ', ',', '!', ':']);
    is_whole.then(|| rest.trim_start_matches([' ', ',', '!', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_question_without_what_is_said_around_it() {
        let ask =
            |question: &str| title(&format!("{TASK} …\n\nQuestion: {question}\n\nReply: No."));
        for (question, short) in [
            ("Hi, can you show me the open deals over 10000, please?", "Open deals over 10000"),
            ("Contacts at Globex", "Contacts at Globex"),
            ("/slow hello", "Hello"),
            ("listless", "Listless"),
        ] {
            assert_eq!(ask(question).as_deref(), Some(short), "{question}");
        }
        assert_eq!(title("Give me a title"), None);
        assert_eq!(ask(""), None);
    }
}
