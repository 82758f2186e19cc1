//! Tables in the shape that scripts of v0.1.22 cut apart: columns joined by ` | `, a dashed line under the header
//! (contract §3.1, and the recorded outputs).

use unicode_width::UnicodeWidthStr;

use crate::output::clean;

/// Rows below a header. A cell may hold several lines.
#[derive(Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// A dashed line under every row, as APIs have it.
    ruled: bool,
}

impl Table {
    pub fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|title| title.to_uppercase()).collect();
        Self { header, rows: Vec::new(), ruled: false }
    }

    #[must_use]
    pub fn ruled(mut self, ruled: bool) -> Self {
        self.ruled = ruled;
        self
    }

    /// Cells are cleaned here, so that no caller can forget it.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| clean::text(cell)).collect());
    }

    pub fn render(&self) -> String {
        self.head(&self.widths()) + &self.rows(&self.widths())
    }

    /// The header above columns of these widths.
    pub fn head(&self, widths: &[usize]) -> String {
        let centred: Vec<String> =
            self.header.iter().zip(widths).map(|(title, width)| centre(title, *width)).collect();
        format!("  {}  \n{}\n", centred.join(" | "), dashes(widths))
    }

    /// The rows alone, in columns of these widths.
    pub fn rows(&self, widths: &[usize]) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let height = row.iter().map(|cell| cell.split('\n').count()).max().unwrap_or(1);
            for line in 0..height {
                let cells = row.iter().zip(widths).map(|(cell, width)| {
                    left(cell.split('\n').nth(line).unwrap_or_default(), *width)
                });
                text.push_str(&format!("  {}  \n", cells.collect::<Vec<_>>().join(" | ")));
            }
            if self.ruled {
                text.push_str(&dashes(widths));
                text.push('\n');
            }
        }
        text
    }

    /// How wide each column has to be.
    pub fn widths(&self) -> Vec<usize> {
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let lines = cells.flat_map(|cell| cell.split('\n')).map(UnicodeWidthStr::width);
            lines.max().unwrap_or(0)
        };
        let titles = self.header.iter().map(|title| title.width());
        titles.enumerate().map(|(column, title)| title.max(widest(column))).collect()
    }
}

fn dashes(widths: &[usize]) -> String {
    "-".repeat(widths.iter().map(|width| width + 2).sum())
}

fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn centre(text: &str, width: usize) -> String {
    let gap = width.saturating_sub(text.width());
    let before = gap / 2;
    format!("{}{text}{}", " ".repeat(before), " ".repeat(gap - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(header: &[&str], rows: &[&[&str]]) -> Table {
        let mut table = Table::new(header);
        for row in rows {
            table.row(row.iter().map(|cell| (*cell).to_owned()).collect());
        }
        table
    }

    fn check(table: &Table, expect: &[&str]) {
        assert_eq!(
            table.render(),
            expect.iter().map(|line| format!("{line}\n")).collect::<String>()
        );
    }

    /// The expected texts are recordings of the original command line.
    #[test]
    fn tables_look_as_v0_1_22_printed_them() {
        check(
            &table(&["Name", "URL", "Status", "Created Date"], &[]),
            &["  NAME | URL | STATUS | CREATED DATE  ", "---------------------------------"],
        );
        check(
            &table(
                &["Name", "URL", "Status", "Created Date"],
                &[
                    &[
                        "base-python3",
                        "dispatchframework/python3-base:0.0.13",
                        "READY",
                        "Fri Nov 20 07:33:53 UTC 2026",
                    ],
                    &[
                        "missing-image",
                        "missing/image:latest",
                        "ERROR",
                        "Fri Nov 20 07:33:53 UTC 2026",
                    ],
                ],
            ),
            &[
                "      NAME      |                  URL                  | STATUS |         CREATED DATE          ",
                "--------------------------------------------------------------------------------------------",
                "  base-python3  | dispatchframework/python3-base:0.0.13 | READY  | Fri Nov 20 07:33:53 UTC 2026  ",
                "  missing-image | missing/image:latest                  | ERROR  | Fri Nov 20 07:33:53 UTC 2026  ",
            ],
        );
        check(
            &table(
                &["ID", "Name", "Content"],
                &[&["039034e0-9487-4b36-83ab-32005209047d", "open-sesame", "<hidden>"]],
            ),
            &[
                "                   ID                  |    NAME     | CONTENT   ",
                "-------------------------------------------------------------",
                "  039034e0-9487-4b36-83ab-32005209047d | open-sesame | <hidden>  ",
            ],
        );
    }

    #[test]
    fn a_ruled_table_draws_a_line_under_cells_of_several_lines() {
        let table = table(
            &[
                "Name", "Function", "Protocol", "Method", "Domain", "Path", "Auth", "Status",
                "Enabled",
            ],
            &[&[
                "api-test",
                "hello",
                "http\nhttps",
                "GET\nPOST",
                "",
                "/testorg/hello",
                "public",
                "READY",
                "true",
            ]],
        )
        .ruled(true);
        check(
            &table,
            &[
                "    NAME   | FUNCTION | PROTOCOL | METHOD | DOMAIN |      PATH      |  AUTH  | STATUS | ENABLED  ",
                "---------------------------------------------------------------------------------------",
                "  api-test | hello    | http     | GET    |        | /testorg/hello | public | READY  | true     ",
                "           |          | https    | POST   |        |                |        |        |          ",
                "---------------------------------------------------------------------------------------",
            ],
        );
    }
}
