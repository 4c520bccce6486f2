//! How do interim answers reach a client whose answer is collected?

use pingora::http::ResponseHeader;
use pingora_proxy::Session;
use tokio::sync::mpsc;

use super::headers;

/// Interim answers that wait for a client to take them.
pub(super) const INTERIM_MAX: usize = 8;

/// Gives the client the interim answers that come while the final one is waited for. To one of
/// HTTP/1.0, which knows none, its session writes none.
pub(super) async fn pass_on<T>(
    session: &mut Session,
    told: &mut mpsc::Receiver<ResponseHeader>,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            Some(head) = told.recv() => tell(session, head).await,
            done = &mut work => {
                // What came with the final answer was told first all the same.
                while let Ok(head) = told.try_recv() {
                    tell(session, head).await;
                }
                return done;
            }
        }
    }
}

async fn tell(session: &mut Session, mut head: ResponseHeader) {
    headers::strip_hop(&mut head);
    // A client that is gone is found out by the final answer.
    let _written = session.write_response_header(Box::new(head), false).await;
}
