//! [`Upgrade`] and [`UpgradedStream`]: a connection that is used for another protocol after its request.

use std::io::{self, IoSlice};
use std::net::Shutdown;

use hyper::body::Bytes;
use hyper::http::Extensions;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::socket::Socket;

/// A request to use the connection for another protocol (RFC 9110, section 7.8).
#[derive(Debug)]
pub struct Upgrade(OnUpgrade);

impl Upgrade {
    /// Takes the upgrade of a request that was received by [`serve`](crate::serve()), from its extensions. `None` if its connection cannot be
    /// upgraded.
    pub fn take(extensions: &mut Extensions) -> Option<Self> {
        extensions.remove().map(Self)
    }

    /// Waits until the response with the status 101 is sent.
    ///
    /// # Errors
    ///
    /// The connection has failed, or the response had another status.
    pub async fn stream(self) -> io::Result<UpgradedStream> {
        let upgraded = self.0.await.map_err(io::Error::other)?;
        let parts =
            upgraded.downcast::<TokioIo<Socket>>().map_err(|_| io::Error::other("a connection of another server"))?;
        Ok(UpgradedStream { socket: parts.io.into_inner(), read: parts.read_buf })
    }
}

/// The TCP stream of a connection that was upgraded. Counts as a connection of the server until it is dropped.
pub struct UpgradedStream {
    socket: Socket,
    read: Bytes,
}

impl UpgradedStream {
    /// The stream. The limits for slow peers no longer apply to it.
    pub fn get_ref(&self) -> &TcpStream {
        self.socket.stream()
    }

    /// Writes as much as the stream takes at once. One slice costs the system less than a list of one.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it takes nothing now.
    pub fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [slice] => self.get_ref().try_write(slice),
            slices => self.get_ref().try_write_vectored(slices),
        }
    }

    /// The bytes that the client has already sent in the other protocol. Returned once.
    pub fn take_read(&mut self) -> Bytes {
        std::mem::take(&mut self.read)
    }

    /// Makes a full socket writable again as soon as fewer than about so many bytes wait to be sent; otherwise that takes until the peer
    /// has read a third of everything that the system buffers, up to megabytes. Linux only; elsewhere nothing changes.
    pub fn limit_unsent(&self, bytes: u32) {
        #[cfg(target_os = "linux")]
        if let Err(error) = SockRef::from(self.get_ref()).set_tcp_notsent_lowat(bytes) {
            tracing::debug!("the unsent bytes of a socket are not limited: {error}");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
    }

    /// Closes the side of the server: the peer reads everything that was written, and then the end.
    ///
    /// # Errors
    ///
    /// The error of the operating system, most often that the peer has already gone.
    pub fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(self.get_ref()).shutdown(Shutdown::Write)
    }
}
