//! Thoughts of models in OpenAI's dialect, which some services want back with what came of a call:
//! under the name they gave them, or the model has lost its thread, or the request is refused.

use serde_json::{Value, json};

/// What was thought before a call, as far as it has come.
#[derive(Debug, Default)]
pub struct Thoughts {
    /// As DeepSeek, llama.cpp and many others name them.
    content: String,
    /// As vLLM and Groq do.
    reasoning: String,
    /// As OpenRouter does, some of it sealed.
    details: Vec<Value>,
}

impl Thoughts {
    /// Takes more of the three from the fields of a message.
    pub fn add(
        &mut self,
        content: Option<&Value>,
        reasoning: Option<&Value>,
        details: Option<&Value>,
    ) {
        for (known, more) in [(&mut self.content, content), (&mut self.reasoning, reasoning)] {
            known.push_str(more.and_then(Value::as_str).unwrap_or_default());
        }
        for detail in details.and_then(Value::as_array).into_iter().flatten() {
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
        if !self.content.is_empty() {
            return Some(json!({ "reasoning_content": self.content }));
        }
        (!self.reasoning.is_empty()).then(|| json!({ "reasoning": self.reasoning }))
    }
}

/// Whether a detail is more of the one before it. What is sealed comes whole.
fn goes_on(last: &Value, more: &Value) -> bool {
    let is_text = more.get("text").or_else(|| more.get("summary")).is_some_and(Value::is_string);
    is_text && ["type", "index"].iter().all(|name| last.get(name) == more.get(name))
}

/// Texts grow; everything else is what was said last.
fn merge(last: &mut Value, more: &Value) {
    for (name, more) in more.as_object().into_iter().flatten().filter(|(_, more)| !more.is_null()) {
        match (&mut last[name], more) {
            (Value::String(known), Value::String(more)) if name == "text" || name == "summary" => {
                known.push_str(more);
            }
            (known, more) => *known = more.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(messages: &[Value]) -> Option<Value> {
        let mut thoughts = Thoughts::default();
        for message in messages {
            let [content, reasoning, details] =
                ["reasoning_content", "reasoning", "reasoning_details"]
                    .map(|name| message.get(name));
            thoughts.add(content, reasoning, details);
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
        let both = json!({ "reasoning_content": "a", "reasoning": "a" });
        assert_eq!(kept(&[both]), Some(json!({ "reasoning_content": "a" })));
    }

    #[test]
    fn details_go_back_whole_and_in_order() {
        let text = |index: u64, text: &str, signature: Value| json!({ "type": "reasoning.text", "index": index, "text": text, "signature": signature });
        let sealed =
            |data: &str| json!({ "type": "reasoning.encrypted", "index": 1, "data": data });
        let said = |detail: Value| json!({ "reasoning": "…", "reasoning_details": [detail] });
        let pieces = [
            said(text(0, "It is ", Value::Null)),
            said(text(0, "late.", Value::Null)),
            said(text(0, "", json!("seal"))),
            said(sealed("a")),
            said(sealed("b")),
            said(text(2, "So.", Value::Null)),
        ];
        let details = [
            text(0, "It is late.", json!("seal")),
            sealed("a"),
            sealed("b"),
            text(2, "So.", Value::Null),
        ];
        assert_eq!(kept(&pieces), Some(json!({ "reasoning_details": details })));
    }
}
