//! Whose work comes next, and whose has to go when there is no room?
//!
//! Fair queueing: what one client asks for waits in a line of its own, and the lines take turns
//! (J. Nagle, RFC 970). When all room is taken, the longest line loses what came to it last, as
//! long as the newcomer's own is shorter (the "fattest flow" of RFC 8290). So whoever asks for much
//! waits for itself, and a client with one piece of work waits for one piece of each other client.

use std::collections::{HashMap, VecDeque};

/// Who asks: all that has the same number waits in one line.
pub type Flow = u128;

/// Work that waits.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    /// The lines. None is empty.
    lines: HashMap<Flow, VecDeque<T>>,
    /// Each line once, the one whose turn it is first.
    turns: VecDeque<Flow>,
    waiting: usize,
}

/// There is no room, and no line is so long that it would have to make some. The work comes back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoRoom<T>(pub(super) T);

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { lines: HashMap::new(), turns: VecDeque::new(), waiting: 0 }
    }
}

impl<T> FairQueue<T> {
    /// How much work waits.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts work at the end of its line.
    pub(super) fn push(&mut self, flow: Flow, work: T) {
        let line = self.lines.entry(flow).or_default();
        if line.is_empty() {
            self.turns.push_back(flow);
        }
        line.push_back(work);
        self.waiting += 1;
    }

    /// Puts work in the place of what the longest line lost for it, which is given back.
    pub(super) fn push_out(&mut self, flow: Flow, work: T) -> Result<T, NoRoom<T>> {
        let own = self.lines.get(&flow).map_or(0, VecDeque::len);
        // Among lines of one length the one whose turn comes last loses.
        let length = |flow: &&Flow| self.lines.get(flow).map_or(0, VecDeque::len);
        let longest = self.turns.iter().max_by_key(length).copied();
        let longest = longest.and_then(|longest| self.lines.get_mut(&longest));
        // It still has something to wait for, and no less than the newcomer.
        let Some(lost) = longest.filter(|line| line.len() > own + 1).and_then(VecDeque::pop_back)
        else {
            return Err(NoRoom(work));
        };
        self.waiting -= 1;
        self.push(flow, work);
        Ok(lost)
    }

    /// Takes the first work of the line whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let flow = self.turns.pop_front()?;
        let line = self.lines.get_mut(&flow)?;
        let work = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&flow);
        } else {
            self.turns.push_back(flow);
        }
        self.waiting -= 1;
        Some(work)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Work that says whose it is, and the how manieth.
    type Piece = (Flow, usize);

    fn queue(pieces: &[Piece]) -> FairQueue<Piece> {
        let mut queue = FairQueue::default();
        for piece in pieces {
            queue.push(piece.0, *piece);
        }
        queue
    }

    fn drain(mut queue: FairQueue<Piece>) -> Vec<Piece> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn clients_take_turns_and_each_is_served_in_its_order() {
        let queue = queue(&[(1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (3, 1)]);
        assert_eq!(queue.waiting(), 6);
        assert_eq!(drain(queue), [(1, 0), (2, 0), (3, 0), (1, 1), (3, 1), (1, 2)]);
    }

    #[test]
    fn longest_line_makes_room_for_who_has_less() {
        let mut queue = queue(&[(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]);
        assert_eq!(queue.push_out(3, (3, 0)), Ok((1, 2)));
        assert_eq!(queue.waiting(), 5);
        // Two have as much as any has now; the one whose turn comes later loses.
        assert_eq!(queue.push_out(4, (4, 0)), Ok((2, 1)));
        assert_eq!(drain(queue), [(1, 0), (2, 0), (3, 0), (4, 0), (1, 1)]);
    }

    #[test]
    fn nobody_makes_room_for_who_has_as_much() {
        let mut queue = queue(&[(1, 0), (1, 1), (2, 0)]);
        assert_eq!(queue.push_out(1, (1, 2)), Err(NoRoom((1, 2))));
        assert_eq!(queue.push_out(2, (2, 1)), Err(NoRoom((2, 1))));
        assert_eq!(queue.push_out(3, (3, 0)), Ok((1, 1)));
        assert_eq!(queue.push_out(4, (4, 0)), Err(NoRoom((4, 0))));
        assert_eq!(drain(queue), [(1, 0), (2, 0), (3, 0)]);
        assert_eq!(FairQueue::default().push_out(1, (1, 0)), Err(NoRoom((1, 0))));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_twice_or_kept_for_ever(
            steps in prop::collection::vec((0_u128..5, any::<bool>()), 0..200),
            room in 1_usize..20,
        ) {
            let mut queue = FairQueue::default();
            let (mut given, mut out) = (BTreeMap::<Flow, usize>::new(), Vec::new());
            for (flow, is_pop) in steps {
                if is_pop {
                    out.extend(queue.pop());
                } else {
                    let number = given.entry(flow).or_default();
                    let piece = (flow, *number);
                    *number += 1;
                    if queue.waiting() < room {
                        queue.push(flow, piece);
                    } else {
                        out.push(queue.push_out(flow, piece).unwrap_or_else(|NoRoom(piece)| piece));
                    }
                }
                prop_assert!(queue.waiting() <= room);
                prop_assert_eq!(queue.waiting(), queue.lines.values().map(VecDeque::len).sum::<usize>());
                prop_assert_eq!(queue.turns.len(), queue.lines.len());
            }
            out.extend(drain(queue));
            out.sort_unstable();
            let all = given.into_iter().flat_map(|(flow, count)| (0..count).map(move |n| (flow, n)));
            prop_assert_eq!(out, all.collect::<Vec<_>>());
        }

        #[test]
        fn who_asks_once_waits_for_one_piece_of_each_other(flows in prop::collection::vec(0_u128..6, 0..60)) {
            let mut queue = FairQueue::default();
            for flow in &flows {
                queue.push(*flow, (*flow, 0));
            }
            queue.push(9, (9, 0));
            let others = queue.lines.len() - 1;
            prop_assert!(drain(queue).iter().take(others + 1).any(|piece| *piece == (9, 0)));
        }
    }
}
