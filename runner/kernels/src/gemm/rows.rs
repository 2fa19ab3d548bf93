//! The rows of a product, taken some at a time.

use super::Starts;

/// Walks over the beginnings of rows.
pub(crate) struct Rows {
    starts: Starts,
    line: usize,
    place: usize,
    /// Rows taken.
    pub(crate) done: usize,
    /// Rows yet to be taken.
    pub(crate) left: usize,
}

impl Rows {
    pub(crate) fn new(starts: Starts) -> Self {
        Self {
            starts,
            line: 0,
            place: 0,
            done: 0,
            left: starts.len(),
        }
    }

    /// Where the next `M` rows begin; as many must be left.
    #[inline]
    pub(crate) fn take<const M: usize>(&mut self) -> [usize; M] {
        debug_assert!(M <= self.left);
        self.done += M;
        self.left -= M;
        let Starts {
            line_step,
            places,
            place_step,
            ..
        } = self.starts;
        let mut at = self.line * line_step + self.place * place_step;
        let mut rows = [0; M];
        if self.place + M <= places {
            self.place += M;
            for row in &mut rows {
                *row = at;
                at += place_step;
            }
            return rows;
        }
        for row in &mut rows {
            if self.place == places {
                self.place = 0;
                self.line += 1;
                at = self.line * line_step;
            }
            *row = at;
            at += place_step;
            self.place += 1;
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_order_however_many_are_taken() {
        let starts = Starts {
            lines: 3,
            line_step: 100,
            places: 5,
            place_step: 2,
        };
        let mut rows = Rows::new(starts);
        let mut taken = std::vec::Vec::new();
        taken.extend(rows.take::<4>());
        taken.extend(rows.take::<4>());
        taken.extend(rows.take::<1>());
        taken.extend(rows.take::<1>());
        taken.extend(rows.take::<4>());
        taken.extend(rows.take::<1>());
        assert_eq!((rows.done, rows.left), (15, 0));
        assert!(starts.iter().eq(taken));
    }
}
