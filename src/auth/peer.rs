//! The other end of a connection. On the Unix socket the kernel names it; that is the way back in when every
//! token is lost.

use super::{Caller, Refusal};

/// Where a request came from; set by the server for each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The Unix socket.
    Unix {
        /// The peer's user, as the kernel says.
        uid: u32,
    },
    /// The loopback TCP port, on which anybody on the machine may knock.
    Tcp,
}

/// The user that rivetr runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub uid: u32,
    /// Its name.
    pub name: String,
}

impl Owner {
    /// Root and rivetr's own user are administrators; nobody else comes in here.
    pub(super) fn admit(&self, uid: u32) -> Result<Caller, Refusal> {
        if uid == self.uid {
            return Ok(Caller::Local { uid, name: self.name.clone() });
        }
        if uid == 0 {
            return Ok(Caller::Local { uid, name: "root".to_owned() });
        }
        Err(Refusal::Stranger { uid, owner: self.name.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_owner_come_in() {
        let owner = Owner { uid: 990, name: "rivetr".to_owned() };
        assert!(matches!(owner.admit(990), Ok(Caller::Local { name, .. }) if name == "rivetr"));
        assert!(matches!(owner.admit(0), Ok(Caller::Local { name, .. }) if name == "root"));
        let refusal = owner.admit(1000).unwrap_err();
        assert!(refusal.to_string().contains("user 1000 may not use this socket"), "{refusal}");
    }
}
