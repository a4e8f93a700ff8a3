//! What connections on which a code travels may keep of one another.

use rustls::ClientConfig;
use rustls::client::{Resumption, Tls12Resumption};

/// Of how many servers tickets are kept: more than a connection can name.
const SERVERS: usize = 16;

/// The same configuration, whose connections resume sessions by TLS 1.3 alone. A ticket of TLS 1.2 keeps the secret with which all
/// of the connection before it, a code included, could be read.
pub fn without_old_secrets(mut tls: ClientConfig) -> ClientConfig {
    tls.resumption =
        Resumption::in_memory_sessions(SERVERS).tls12_resumption(Tls12Resumption::Disabled);
    tls
}
