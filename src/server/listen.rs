//! Listening sockets: one per serving thread on the same address, so the kernel spreads connections
//! and no thread waits for another.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

const BACKLOG: i32 = 1024;

/// Why no socket could be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "{0} is in use by another program. Stop that one, or choose another address with \
         [server] address or LEPTOS_SITE_ADDR"
    )]
    InUse(SocketAddr),
    #[error("{0} cannot be listened on: {1}")]
    Other(SocketAddr, io::Error),
}

/// `count` sockets listening on `address`.
pub fn listen(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, ListenError> {
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        _ => ListenError::Other(address, cause),
    };
    // Sockets that share an address would share it with another Breezeway too, and each would get
    // half of the visitors. An exclusive bind first shows whether anyone is there.
    drop(bind(address, false).map_err(failed)?);
    (0..count).map(|_| bind(address, true)).collect::<io::Result<_>>().map_err(failed)
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_named_with_a_remedy() {
        let first = listen("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let address = first[0].local_addr().unwrap();
        let error = listen(address, 2).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("LEPTOS_SITE_ADDR"));
    }

    #[test]
    fn threads_share_one_address() {
        let probe = listen("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let address = probe[0].local_addr().unwrap();
        drop(probe);
        assert_eq!(listen(address, 2).unwrap().len(), 2);
    }
}
