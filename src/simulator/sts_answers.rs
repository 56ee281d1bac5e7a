//! STS's answers and errors as XML.

use super::reply::Reply;
use super::signature::Rejection;
use super::texts::SIGNATURE_MISMATCH;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// An error of STS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StsRefusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl StsRefusal {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// A value that breaks a rule.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    /// A signature that is refused.
    pub(crate) fn of(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::Incomplete(text) => Self::new(400, "IncompleteSignature", text),
            Rejection::Invalid(text) => Self::new(403, "SignatureDoesNotMatch", text),
            Rejection::Mismatch { .. } => Self::new(403, "SignatureDoesNotMatch", SIGNATURE_MISMATCH),
            Rejection::TokenInvalid => Self::new(
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            ),
            Rejection::TokenExpired => {
                Self::new(403, "ExpiredToken", "The security token included in the request is expired")
            }
        }
    }

    pub(crate) fn reply(&self, request_id: &str) -> Reply {
        let kind = if self.status < 500 { "Sender" } else { "Receiver" };
        let body = format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\">\n  <Error>\n    <Type>{kind}</Type>\n    <Code>{}</Code>\n    \
             <Message>{}</Message>\n  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n",
            escape(&self.code),
            escape(&self.message)
        );
        Reply::new(self.status, "text/xml", body).with("x-amzn-RequestId", request_id)
    }
}

/// A good answer: the result of an action.
pub(crate) fn success(action: &str, result: &str, request_id: &str) -> Reply {
    let body = format!(
        "<{action}Response xmlns=\"{NAMESPACE}\">\n  <{action}Result>\n{result}  </{action}Result>\n  \
         <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  </ResponseMetadata>\n</{action}Response>\n"
    );
    Reply::new(200, "text/xml", body).with("x-amzn-RequestId", request_id)
}

/// Text inside an element.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no way to write other control characters.
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The text of the first element of a name, unescaped; enough for the answers written here.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_its_escaping() {
        let reply = StsRefusal::new(403, "AccessDenied", "a <b> & \"c\" &lt;").reply("id-1");
        let xml = String::from_utf8(reply.body).unwrap();
        assert_eq!(element(&xml, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(element(&xml, "Message").as_deref(), Some("a <b> & \"c\" &lt;"));
        assert_eq!(element(&xml, "RequestId").as_deref(), Some("id-1"));
        assert_eq!(element(&xml, "Nothing"), None);
    }
}
