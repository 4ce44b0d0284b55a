//! Thoughts of models in OpenAI's dialect, which some services want back with what came of a call:
//! under the name they gave them, or the model has lost its thread, or the request is refused.

use serde_json::{Map, Value, json};

use super::Message;

/// What was thought before a call, as far as it has come.
#[derive(Debug, Default)]
pub struct Thoughts {
    /// As DeepSeek, llama.cpp and many others name them. DeepSeek wants them back even when they are
    /// empty.
    content: Option<String>,
    /// As vLLM and Groq do.
    reasoning: String,
    /// As OpenRouter does, some of it sealed.
    details: Vec<Map<String, Value>>,
}

impl Thoughts {
    /// Takes what the next message, or the next piece of one, holds of them.
    pub fn add(&mut self, message: &Message) {
        if let Some(more) = message.reasoning_content.as_ref().and_then(Value::as_str) {
            self.content.get_or_insert_default().push_str(more);
        }
        if let Some(more) = message.reasoning.as_ref().and_then(Value::as_str) {
            self.reasoning.push_str(more);
        }
        let details = message.reasoning_details.as_ref().and_then(Value::as_array);
        let details = details.into_iter().flatten();
        for detail in details.filter_map(Value::as_object) {
            match self.details.last_mut().filter(|last| goes_on(last, detail)) {
                Some(last) => merge(last, detail),
                None => self.details.push(detail.clone()),
            }
        }
    }

    /// The field that the service wants back, with its name. Details say the same as the others, and
    /// more.
    pub fn field(self) -> Option<Value> {
        if !self.details.is_empty() {
            return Some(json!({ "reasoning_details": self.details }));
        }
        if !self.reasoning.is_empty() && self.content.as_ref().is_none_or(String::is_empty) {
            return Some(json!({ "reasoning": self.reasoning }));
        }
        self.content.map(|content| json!({ "reasoning_content": content }))
    }
}

/// Whether a detail is more of the one before it, be it only the seal. What is encrypted comes whole.
fn goes_on(last: &Map<String, Value>, more: &Map<String, Value>) -> bool {
    !more.contains_key("data")
        && ["type", "index"].iter().all(|name| last.get(*name) == more.get(*name))
}

/// Texts grow; everything else is what was said last.
fn merge(last: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, more) in more.iter().filter(|(_, more)| !more.is_null()) {
        match (last.get_mut(name), more) {
            (Some(Value::String(known)), Value::String(more))
                if name == "text" || name == "summary" =>
            {
                known.push_str(more);
            }
            _ => _ = last.insert(name.clone(), more.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(messages: &[Value]) -> Option<Value> {
        let mut thoughts = Thoughts::default();
        for message in messages {
            thoughts.add(&serde_json::from_value(message.clone()).unwrap());
        }
        thoughts.field()
    }

    #[test]
    fn thoughts_go_back_under_the_name_they_came_with() {
        for name in ["reasoning_content", "reasoning"] {
            let pieces = ["It is ", "late."].map(|text| json!({ name: text }));
            assert_eq!(kept(&pieces), Some(json!({ name: "It is late." })), "{name}");
        }
        assert_eq!(kept(&[json!({ "reasoning_content": null, "reasoning": "" })]), None);
        let empty = json!({ "reasoning_content": "" });
        assert_eq!(kept(std::slice::from_ref(&empty)), Some(empty));
        let both = json!({ "reasoning_content": "a", "reasoning": "a" });
        assert_eq!(kept(&[both]), Some(json!({ "reasoning_content": "a" })));
    }

    #[test]
    fn details_go_back_whole_and_in_order() {
        let text = |index: u64, text: &str| json!({ "type": "reasoning.text", "index": index, "text": text });
        let seal = json!({ "type": "reasoning.text", "index": 0, "signature": "seal" });
        let sealed =
            |data: &str| json!({ "type": "reasoning.encrypted", "index": 1, "data": data });
        let said = |detail: Value| json!({ "reasoning": "…", "reasoning_details": [detail] });
        let pieces = [
            said(text(0, "It is ")),
            said(text(0, "late.")),
            said(seal),
            said(sealed("a")),
            said(sealed("b")),
            said(json!("odd")),
            said(text(2, "So.")),
        ];
        let mut first = text(0, "It is late.");
        first["signature"] = json!("seal");
        let details = [first, sealed("a"), sealed("b"), text(2, "So.")];
        assert_eq!(kept(&pieces), Some(json!({ "reasoning_details": details })));
    }
}
