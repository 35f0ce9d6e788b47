//! Status codes in the body of every response; the gRPC status is nearly always OK.

use super::Status;

/// A status code of the protocol. The constants are the codes that the client distinguishes; any other number is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Code(pub i32);

impl Code {
    /// Success.
    pub const OK: Self = Self(20_000);
    /// Several results, each with its own code.
    pub const MULTIPLE_RESULTS: Self = Self(30_000);
    /// The request is malformed.
    pub const BAD_REQUEST: Self = Self(40_000);
    /// The receipt handle is not, or no longer, valid.
    pub const INVALID_RECEIPT_HANDLE: Self = Self(40_013);
    /// The server does not know the client, or not its type.
    pub const UNRECOGNIZED_CLIENT_TYPE: Self = Self(40_015);
    /// `x-mq-client-id` is missing.
    pub const CLIENT_ID_REQUIRED: Self = Self(40_017);
    /// The deadline leaves no time to poll.
    pub const ILLEGAL_POLLING_TIME: Self = Self(40_018);
    /// The invisible duration is out of bounds.
    pub const ILLEGAL_INVISIBLE_TIME: Self = Self(40_011);
    /// The signature is missing or wrong.
    pub const UNAUTHORIZED: Self = Self(40_100);
    /// The account lacks the permission.
    pub const FORBIDDEN: Self = Self(40_300);
    /// There is nothing to receive right now.
    pub const MESSAGE_NOT_FOUND: Self = Self(40_401);
    /// The topic does not exist.
    pub const TOPIC_NOT_FOUND: Self = Self(40_402);
    /// The consumer group does not exist.
    pub const CONSUMER_GROUP_NOT_FOUND: Self = Self(40_403);
    /// The server waited too long for the client.
    pub const REQUEST_TIMEOUT: Self = Self(40_800);
    /// The body exceeds the server's limit.
    pub const MESSAGE_BODY_TOO_LARGE: Self = Self(41_301);
    /// Throttled: the instance's rate is exceeded.
    pub const TOO_MANY_REQUESTS: Self = Self(42_900);
    /// Internal error of the server.
    pub const INTERNAL_SERVER_ERROR: Self = Self(50_001);
    /// The call is not implemented.
    pub const NOT_IMPLEMENTED: Self = Self(50_100);
    /// The broker did not respond to the proxy in time.
    pub const PROXY_TIMEOUT: Self = Self(50_400);

    /// True if the same request may succeed a moment later: throttling, time-outs and errors of the server.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        self.0 == Self::TOO_MANY_REQUESTS.0
            || self.0 == Self::REQUEST_TIMEOUT.0
            || (self.0 >= 50_000 && self.0 < 50_100)
            || (self.0 >= 50_400 && self.0 < 50_500)
    }

    /// A [`Status`] with this code and `message`.
    #[must_use]
    pub fn status(self, message: impl Into<String>) -> Status {
        Status { code: self.0, message: message.into() }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}
