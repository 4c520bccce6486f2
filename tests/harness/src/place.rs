//! Where one gateway lives: its files and its ports.

use crate::{Directory, Reservation};

/// A directory, and the addresses that its files speak of.
pub(crate) struct Place {
    pub(crate) directory: Directory,
    pub(crate) listen: Reservation,
    pub(crate) tls_listen: Reservation,
    pub(crate) admin: Reservation,
}

impl Place {
    /// A place in this directory, with ports that are free now.
    pub(crate) fn new(directory: Directory) -> Self {
        let [listen, tls_listen, admin] = std::array::from_fn(|_| Reservation::new());
        Self { directory, listen, tls_listen, admin }
    }

    /// Writes a file, with the placeholders filled in.
    pub(crate) fn write(&self, name: &str, contents: &str) {
        self.directory.write(name, self.filled(contents));
    }

    /// The text with addresses and the directory in the place of `{listen}` and its like.
    pub(crate) fn filled(&self, text: &str) -> String {
        text.replace("{listen}", &self.listen.address().to_string())
            .replace("{tls_listen}", &self.tls_listen.address().to_string())
            .replace("{admin}", &self.admin.address().to_string())
            .replace("{dir}", &self.directory.path().display().to_string())
    }
}
