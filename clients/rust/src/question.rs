use crate::v1::{part, ChatInput, Completion, Message, Part, Role, TextPart};

/// A question of one message to a model.
pub fn question(model: &str, text: &str) -> ChatInput {
    let text = TextPart { text: text.into(), ..Default::default() };
    let part = Part { kind: Some(part::Kind::Text(text)), ..Default::default() };
    let message = Message { role: Role::User.into(), parts: vec![part], ..Default::default() };
    ChatInput { model: model.into(), messages: vec![message], ..Default::default() }
}

/// What the first answer of a completion says.
pub fn text_of(completion: &Completion) -> String {
    let message = completion.candidates.first().and_then(|candidate| candidate.message.as_ref());
    let parts = message.map(|message| message.parts.as_slice()).unwrap_or_default();
    parts
        .iter()
        .filter_map(|part| match &part.kind {
            Some(part::Kind::Text(text)) => Some(text.text.as_str()),
            _ => None,
        })
        .collect()
}
