//! How is a script run in one round trip, although a server may not know it yet?

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind};

/// A Lua script, named by its hash.
#[derive(Debug)]
pub(in crate::state) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    pub(in crate::state) fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }

    /// Runs the script. A server that was started since the last time is sent the whole text, which
    /// it keeps: a second round trip, once.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> RedisResult<T> {
        let by_hash = command("EVALSHA", &self.hash, keys, arguments);
        let answer = by_hash.query_async(connection).await;
        match answer {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", self.code, keys, arguments).query_async(connection).await
            }
            answer => answer,
        }
    }
}

fn command(name: &str, script: &str, keys: &[String], arguments: &[Vec<u8>]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    command
}
