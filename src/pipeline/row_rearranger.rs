//! Puts the fields of rows into the order of the columns in their source.

/// Reorders the fields of rows. A table that inherits columns has them in another order than its source if a parent
/// was given one later. COPY writes the columns of both in their own order: the same rows, but other bytes.
pub(crate) struct RowRearranger {
    /// The index in the row at hand of each field of the source's row.
    from: Vec<usize>,
    /// The beginning of a row, kept until the row is complete.
    held: Vec<u8>,
    row: Vec<u8>,
}

impl RowRearranger {
    /// Returns None if there is nothing to rearrange: the columns are in the stated order, or are not the same.
    pub fn new(stated: &[String], found: &[String]) -> Option<RowRearranger> {
        let from: Option<Vec<usize>> =
            stated.iter().map(|column| found.iter().position(|name| name == column)).collect();
        let from = from.filter(|from| from.len() == found.len() && !from.is_sorted())?;
        Some(RowRearranger { from, held: Vec::new(), row: Vec::new() })
    }

    /// Takes the next bytes of the rows, and passes the rows that they complete to `sink`.
    pub fn update(&mut self, data: &[u8], sink: &mut dyn FnMut(&[u8])) {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            match (piece.last() == Some(&b'\n'), self.held.is_empty()) {
                (true, true) => self.hand_on(piece, sink),
                (true, false) => {
                    self.held.extend_from_slice(piece);
                    let held = std::mem::take(&mut self.held);
                    self.hand_on(&held, sink);
                }
                (false, _) => self.held.extend_from_slice(piece),
            }
        }
    }

    /// Passes a row to `sink` with its fields in order. Within a value, a tab or the end of a line is written as a
    /// backslash and a letter. A row with another number of fields stays as it is.
    fn hand_on(&mut self, line: &[u8], sink: &mut dyn FnMut(&[u8])) {
        let fields: Vec<&[u8]> = line[..line.len() - 1].split(|byte| *byte == b'\t').collect();
        if fields.len() != self.from.len() {
            return sink(line);
        }
        self.row.clear();
        for (at, from) in self.from.iter().enumerate() {
            if at > 0 {
                self.row.push(b'\t');
            }
            self.row.extend_from_slice(fields[*from]);
        }
        self.row.push(b'\n');
        sink(&self.row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];
    const ROWS: [[&str; 4]; 4] =
        [["1", "\\t", "x y", "\\N"], ["", "", "", ""], ["\\\\n", "2", "\\.", "3"], ["4", "5", "6", "\\n"]];

    fn names(order: &[usize]) -> Vec<String> {
        order.iter().map(|at| COLUMNS[*at].to_owned()).collect()
    }

    fn text(order: &[usize]) -> Vec<u8> {
        let line = |row: &[&str; 4]| order.iter().map(|at| row[*at]).collect::<Vec<_>>().join("\t") + "\n";
        ROWS.iter().map(line).collect::<String>().into_bytes()
    }

    #[test]
    fn rows_in_every_order_of_their_columns_become_those_of_every_other_order() {
        let mut orders = Vec::new();
        for number in 0..256 {
            let order = [number & 3, number >> 2 & 3, number >> 4 & 3, number >> 6];
            if (0..4).all(|at| order.contains(&at)) {
                orders.push(order);
            }
        }
        assert_eq!(orders.len(), 24);
        for (stated, found) in orders.iter().flat_map(|stated| orders.iter().map(move |found| (stated, found))) {
            let Some(mut rearranged) = RowRearranger::new(&names(stated), &names(found)) else {
                assert_eq!(stated, found);
                continue;
            };
            for size in [1, 5, 1000] {
                let mut told = Vec::new();
                let rows = text(found);
                rows.chunks(size)
                    .for_each(|piece| rearranged.update(piece, &mut |bytes| told.extend_from_slice(bytes)));
                assert_eq!(told, text(stated), "{found:?} as {stated:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn other_columns_are_not_rearranged_and_a_row_of_another_width_stays() {
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (stated, found) in [
            (&["a", "b"][..], &["a", "b"][..]),
            (&["b", "a"], &["a"]),
            (&["b"], &["b", "a"]),
            (&["b", "c"], &["a", "b"]),
            (&[], &[]),
        ] {
            assert!(RowRearranger::new(&of(stated), &of(found)).is_none(), "{stated:?} {found:?}");
        }
        let mut told = Vec::new();
        let mut rearranged = RowRearranger::new(&of(&["b", "a"]), &of(&["a", "b"])).unwrap();
        rearranged.update(b"1\t2\n1\n1\t2\t3\n", &mut |bytes| told.extend_from_slice(bytes));
        assert_eq!(told, b"2\t1\n1\n1\t2\t3\n");
    }
}
