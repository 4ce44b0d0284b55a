//! What the sandbox's assistant says of files. It searches words; it does not look at pictures.

/// How a file stands before a question: its name, a colon and a blank line.
const BEGIN: &str = "File ";

/// What stands for a picture in a prompt.
pub(crate) fn picture(data_url: &str) -> String {
    let kind = data_url.strip_prefix("data:").and_then(|rest| rest.split(';').next());
    let encoded = data_url.split(',').nth(1).unwrap_or_default().len();
    format!("{BEGIN}picture:\n\n{} of {} bytes\n\n", kind.unwrap_or("something"), encoded / 4 * 3)
}

/// The answer to a prompt that begins with a file.
pub(crate) fn about(prompt: &str) -> Option<String> {
    let (name, text) = prompt.strip_prefix(BEGIN)?.split_once(":\n\n")?;
    if name == "picture" {
        let what = text.lines().next().unwrap_or_default();
        return Some(format!(
            "You sent me a picture: {what}. I search words and cannot look at pictures.\n"
        ));
    }
    let (lines, words) = (text.trim_end().lines().count(), text.split_whitespace().count());
    let first = text.lines().next().unwrap_or_default();
    Some(format!(
        "You sent me **{}**: {lines} lines and {words} words with your question. It begins:\n\n\
         ```\n{first}\n```\n",
        name.replace(['*', '\n'], "")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_name_and_length() {
        let answer = about("File notes.txt:\n\none two\nthree\n\nWhat is this?").unwrap();
        assert!(answer.contains("**notes.txt**: 4 lines and 6 words"), "{answer}");
        assert!(answer.contains("```\none two\n```"), "{answer}");
        let picture = picture("data:image/png;base64,AAAA");
        assert!(about(&picture).unwrap().contains("image/png of 3 bytes"));
        assert_eq!(about("File a complaint"), None);
    }
}
