//! The error type of the server's half.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use super::{Failure, Kind};

/// What a fallible function of the server's half returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn StdError + Send + Sync>;

/// Trouble, with a sentence for the person and a cause for the log.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: Cow<'static, str>,
    cause: Option<Cause>,
    /// The status to answer, where it is not the kind's own.
    status: Option<u16>,
    retry_after: Option<Duration>,
    /// What of the request is wrong.
    field: Option<String>,
    /// More for the person, where the message is fixed by a convention.
    detail: Option<String>,
}

/// Constructors, one per kind that callers raise.
impl Error {
    /// 400: the request is wrong in a way the sentence names.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    /// 401: nobody is signed in.
    pub fn unauthenticated() -> Self {
        Self::new(Kind::Unauthenticated, "You are not signed in, or your session has ended.")
    }

    /// 403: the sentence says what is refused.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// 404: the sentence names what is not there.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// 409: the sentence says what it clashes with.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// 413: the sentence says what is too large.
    pub fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// 429: the client is to come back after `wait`.
    pub fn too_many_requests(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        let error = Self::new(
            Kind::TooManyRequests,
            format!("Too many requests. Nothing was done; try again in {seconds} s."),
        );
        Self { retry_after: Some(wait), ..error }
    }

    /// What another server answered with `status`, an error of HTTP, in words of ours.
    pub fn from_status(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        let kind = match status {
            401 => Kind::Unauthenticated,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            405 => Kind::MethodNotAllowed,
            409 => Kind::Conflict,
            413 => Kind::TooLarge,
            415 => Kind::UnsupportedMedia,
            429 => Kind::TooManyRequests,
            501 => Kind::NotImplemented,
            503 => Kind::Unavailable,
            504 => Kind::Timeout,
            500.. => Kind::BadGateway,
            _ => Kind::BadRequest,
        };
        Self { status: Some(status), ..Self::new(kind, message) }
    }

    /// 500: a fault of ours; people see a plain sentence, the log sees the cause.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::new(Kind::Internal, "Something went wrong on our side. Nothing was changed.")
            .because(cause)
    }

    /// The server cannot start; the cause says why and what to do.
    pub fn startup(cause: impl Into<Cause>) -> Self {
        Self::new(Kind::Internal, "Breezeway cannot start").because(cause)
    }

    /// 502: a backend's answer cannot be used.
    pub fn bad_gateway(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadGateway, message)
    }

    /// 503: something that is needed cannot be reached.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// 504: a backend took too long.
    pub fn timeout(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// An error of any kind.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
            status: None,
            retry_after: None,
            field: None,
            detail: None,
        }
    }

    /// Adds what lies behind it, for the log only.
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Names what of the request is wrong.
    pub fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds words for the person beside a message that is fixed by a convention.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says when the same may be tried again.
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

impl Error {
    /// What kind of trouble it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The HTTP status to answer.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or_else(|| self.kind.status())
    }

    /// How long to wait before another try, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What of the request is wrong, where that is one thing.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// More for the person than the message.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The sentence for the person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The causes, outermost first, joined for one log line.
    pub fn causes(&self) -> String {
        let mut text = String::new();
        let mut next = self.cause.as_deref().map(|cause| cause as &dyn StdError);
        while let Some(cause) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }

    /// The part that may leave the server.
    pub fn to_failure(&self) -> Failure {
        Failure::new(self.kind, self.message.clone())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.causes() {
            causes if causes.is_empty() => Ok(()),
            causes => write!(f, " ({causes})"),
        }
    }
}

impl StdError for Error {}

/// PostgreSQL's word for a text it cannot keep.
const UNKNOWN_CHARACTER: &str = "22021";

impl From<sqlx::Error> for Error {
    fn from(cause: sqlx::Error) -> Self {
        let code = cause.as_database_error().and_then(|cause| cause.code());
        if code.as_deref() == Some(UNKNOWN_CHARACTER) {
            return Self::bad_request(
                "The text holds a NUL, a character that cannot be kept. Take it out and send again.",
            )
            .because(cause);
        }
        Self::unavailable("The database cannot be used right now. Try again in a moment.")
            .because(cause)
    }
}

impl Kind {
    /// The status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMedia => 415,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }
}
