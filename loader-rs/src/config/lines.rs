//! Where something stands in a file.

/// A line and a column, in characters; both count from 1.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub(super) const START: Place = Place { line: 1, column: 1 };
}

/// Turns byte offsets into lines and columns.
pub(super) struct Lines<'a> {
    pub source: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        let after_newline = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { source, starts: std::iter::once(0).chain(after_newline).collect() }
    }

    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let before = self.source.get(self.starts[line - 1]..offset).unwrap_or("");
        Place { line, column: before.chars().count() + 1 }
    }
}
