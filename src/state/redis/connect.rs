//! How is a connection to Redis made: to one server, or to the master that sentinels name?

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, TlsCertificates, TlsMode,
};
use tokio::time::timeout;

use super::address::RedisUrl;
use super::error::RedisFault;

/// The longest that all steps to a connection may take together: sentinels, TLS, login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes connections, each to where the master is at that time.
pub(super) enum Connector {
    /// One server.
    Server(Box<Client>),
    /// Whatever the sentinels call the master.
    Sentinel(Box<SentinelClient>),
}

impl Connector {
    /// Reads what is needed of an address; nothing is sent yet. `ca_pem` are the authorities to
    /// trust, in place of the system's.
    pub(super) fn new(url: &RedisUrl, ca_pem: Option<&[u8]>) -> Result<Self, RedisFault> {
        let built = match &url.service {
            Some(service) => Self::sentinel(url, service, ca_pem),
            None => Self::server(url, ca_pem),
        };
        built.map_err(|error| RedisFault::of(&error))
    }

    fn server(url: &RedisUrl, ca_pem: Option<&[u8]>) -> Result<Self, RedisError> {
        let mut addresses = url.nodes.iter().map(|node| address(url.tls, node));
        let address = addresses.next().unwrap_or_else(|| ConnectionAddr::Tcp(String::new(), 0));
        let mut login = RedisConnectionInfo::default().set_db(url.db);
        if let Some(username) = &url.login.username {
            login = login.set_username(username);
        }
        if let Some(password) = &url.login.password {
            login = login.set_password(password);
        }
        let info = address.into_connection_info()?;
        let info = info.set_redis_settings(login).set_tcp_settings(tcp_settings());
        let client = match trusted(ca_pem).filter(|_| url.tls) {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        Ok(Self::Server(Box::new(client)))
    }

    fn sentinel(url: &RedisUrl, service: &str, ca_pem: Option<&[u8]>) -> Result<Self, RedisError> {
        let addresses = url.nodes.iter().map(|node| address(url.tls, node));
        let mut builder =
            SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)?
                .set_client_to_redis_db(url.db)
                .set_client_to_redis_tcp_settings(tcp_settings())
                .set_client_to_sentinel_tcp_settings(tcp_settings());
        if let Some(username) = &url.login.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &url.login.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(username) = &url.sentinel_login.username {
            builder = builder.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &url.sentinel_login.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if url.tls {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            if let Some(certificates) = trusted(ca_pem) {
                builder = builder
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_certificates(certificates);
            }
        }
        Ok(Self::Sentinel(Box::new(builder.build()?)))
    }

    /// Connects and logs in.
    pub(super) async fn connect(&mut self) -> Result<MultiplexedConnection, RedisFault> {
        // Every call has a time limit of its own, which also covers waiting in the queue.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(CONNECT_TIMEOUT));
        let connecting = async {
            match self {
                Self::Server(client) => {
                    client.get_multiplexed_async_connection_with_config(&config).await
                }
                Self::Sentinel(client) => client.get_async_connection_with_config(&config).await,
            }
        };
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| RedisFault::of(&error)),
            Err(_elapsed) => Err(RedisFault::Timeout(CONNECT_TIMEOUT)),
        }
    }
}

fn address(tls: bool, (host, port): &(String, u16)) -> ConnectionAddr {
    let (host, port) = (host.clone(), *port);
    if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

/// A command and its answer are small; waiting to fill a segment would only delay them.
fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn trusted(ca_pem: Option<&[u8]>) -> Option<TlsCertificates> {
    ca_pem.map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) })
}
