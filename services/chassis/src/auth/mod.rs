//! Who is calling, and may this caller do that?
//!
//! Three credentials count: the token that the gateway makes for a caller that it has verified
//! (`credentials: internal`), and a user's token or an API key that was passed through. The first
//! one that is present decides, so a bad token is not rescued by a good key beside it.
//!
//! | Module | Answers |
//! | --- | --- |
//! | [`principal`] | What is known of a caller once a credential holds? |
//! | [`settings`] | Which credentials did the operator name? |
//! | [`gate`] | Is there anything to verify with, and who may do without? |
//! | `layer` | What happens to a request on its way to its handler? |
//! | `credential` | Which credential does a request carry? |
//! | `token` | Does this token hold? |
//! | `keys` | Does this API key hold? |
//! | `memory` | What is remembered of API keys? |
//! | `refusal` | What is a caller told that is not let in? |
//! | `metrics` | What is counted? |

pub mod gate;
pub mod principal;
pub mod settings;

pub(crate) mod layer;

mod credential;
mod keys;
mod memory;
mod metrics;
mod refusal;
mod token;

pub use gate::{Auth, AuthError};
pub use principal::{Principal, Scheme};
pub use settings::{AuthSettings, PREFIXES};
