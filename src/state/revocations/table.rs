//! Which revocations are in force?

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::{Revocation, Target};
use super::{Issued, REVOCATIONS_MAX};

/// All that is in force, for readers that never wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    clients: HashMap<Arc<str>, Cut>,
    subjects: HashMap<Arc<str>, Cut>,
    /// Ids with when the token expires.
    tokens: HashMap<Arc<str>, i64>,
}

/// Tokens issued up to a moment are revoked.
#[derive(Clone, Copy, Debug)]
struct Cut {
    before: i64,
    expires: i64,
}

/// What became of a revocation that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// There is no room for it.
    Full,
    /// It was in force before.
    Known,
    /// It is in force now.
    New,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.clients.len() + self.subjects.len() + self.tokens.len()
    }

    pub(super) fn revokes(&self, token: &Issued<'_>) -> bool {
        // A token that does not say when it was issued may be from before.
        let issued = token.at.unwrap_or(i64::MIN);
        let cut = |cuts: &HashMap<Arc<str>, Cut>, name: Option<&str>| {
            name.and_then(|name| cuts.get(name)).is_some_and(|cut| issued <= cut.before)
        };
        token.id.is_some_and(|id| self.tokens.contains_key(id))
            || cut(&self.subjects, token.subject)
            || cut(&self.clients, token.client)
    }

    /// Everything in it, one revocation a name.
    pub(super) fn entries(&self) -> impl Iterator<Item = Revocation> {
        let cuts = |cuts: &'_ HashMap<Arc<str>, Cut>, target: fn(String) -> Target| {
            let entries = cuts.iter().map(|(name, cut)| Revocation {
                target: target(name.as_ref().to_owned()),
                before: cut.before,
                expires: cut.expires,
            });
            entries.collect::<Vec<_>>()
        };
        let tokens = self.tokens.iter().map(|(id, expires)| Revocation {
            target: Target::Token(id.as_ref().to_owned()),
            before: 0,
            expires: *expires,
        });
        let cuts = [cuts(&self.clients, Target::Client), cuts(&self.subjects, Target::Subject)];
        cuts.into_iter().flatten().chain(tokens)
    }

    /// Adds a revocation. Several of one name are one that covers all of them.
    pub(super) fn add(&mut self, revocation: Revocation) -> Added {
        let full = self.len() >= REVOCATIONS_MAX;
        let Revocation { target, before, expires } = revocation;
        let (cuts, name) = match target {
            Target::Client(name) => (&mut self.clients, name),
            Target::Subject(name) => (&mut self.subjects, name),
            Target::Token(id) => {
                return match self.tokens.get_mut(id.as_str()) {
                    Some(known) if *known >= expires => Added::Known,
                    Some(known) => {
                        *known = expires;
                        Added::New
                    }
                    None if full => Added::Full,
                    None => {
                        self.tokens.insert(id.into(), expires);
                        Added::New
                    }
                };
            }
        };
        match cuts.get_mut(name.as_str()) {
            Some(cut) if cut.before >= before && cut.expires >= expires => Added::Known,
            Some(cut) => {
                *cut = Cut { before: cut.before.max(before), expires: cut.expires.max(expires) };
                Added::New
            }
            None if full => Added::Full,
            None => {
                cuts.insert(name.into(), Cut { before, expires });
                Added::New
            }
        }
    }

    /// Whether something in it has expired.
    pub(super) fn has_expired(&self, now: i64) -> bool {
        let cuts = self.clients.values().chain(self.subjects.values());
        cuts.map(|cut| cut.expires).chain(self.tokens.values().copied()).any(|end| end <= now)
    }

    pub(super) fn forget_expired(&mut self, now: i64) {
        self.clients.retain(|_, cut| cut.expires > now);
        self.subjects.retain(|_, cut| cut.expires > now);
        self.tokens.retain(|_, expires| *expires > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revocation(target: Target, before: i64, expires: i64) -> Revocation {
        Revocation { target, before, expires }
    }

    #[test]
    fn token_is_revoked_by_its_id_its_subject_or_its_client() {
        let mut table = Table::default();
        table.add(revocation(Target::Token("t".into()), 0, 100));
        table.add(revocation(Target::Subject("s".into()), 50, 100));
        table.add(revocation(Target::Client("c".into()), 60, 100));
        let revokes = |id, subject, client, at| {
            table.revokes(&Issued { id: Some(id), subject: Some(subject), client, at })
        };
        assert!(revokes("t", "x", None, Some(99)));
        assert!(revokes("x", "s", None, Some(50)));
        assert!(!revokes("x", "s", None, Some(51)));
        assert!(revokes("x", "x", Some("c"), Some(60)));
        assert!(!revokes("x", "x", Some("c"), Some(61)));
        // Names of one kind say nothing about another.
        assert!(!revokes("s", "t", Some("s"), Some(1)));
        assert!(revokes("x", "s", None, None));
        assert!(!table.revokes(&Issued::default()));
    }

    #[test]
    fn several_revocations_of_one_name_cover_all() {
        let mut table = Table::default();
        let add = |table: &mut Table, before, expires| {
            table.add(revocation(Target::Subject("s".into()), before, expires))
        };
        assert_eq!(add(&mut table, 50, 100), Added::New);
        assert_eq!(add(&mut table, 50, 100), Added::Known);
        assert_eq!(add(&mut table, 70, 90), Added::New);
        table.forget_expired(95);
        let token = Issued { subject: Some("s"), at: Some(70), ..Issued::default() };
        assert!(table.revokes(&token));
        assert!(table.has_expired(100) && !table.has_expired(99));
        table.forget_expired(100);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn number_of_revocations_is_bounded() {
        let mut table = Table::default();
        for id in 0..REVOCATIONS_MAX {
            assert_eq!(table.add(revocation(Target::Token(id.to_string()), 0, 9)), Added::New);
        }
        assert_eq!(table.add(revocation(Target::Subject("s".into()), 1, 9)), Added::Full);
        assert_eq!(table.add(revocation(Target::Token("0".into()), 0, 9)), Added::Known);
    }
}
