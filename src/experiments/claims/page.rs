//! `claims.html`, a page that needs no other file and no network, and the same as Markdown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Claim, Judgement, Verdict};
use crate::Figure;
use crate::report::{Grouped, table};

/// What was found about a claim.
pub struct Finding<'a> {
    pub claim: &'a Claim,
    pub figures: Vec<Figure>,
    pub judgement: Judgement,
    /// The bytes of its PNG file; `None` without figures.
    pub picture: Option<Vec<u8>>,
}

/// All of them.
pub struct Page<'a> {
    /// What was run and on which machine.
    pub facts: Vec<(String, String)>,
    pub findings: Vec<Finding<'a>>,
}

/// Its heading.
const TITLE: &str = "What the study notes and the book claim about batch norm, measured";

/// What the tables say of themselves.
const CELLS: &str = "Mean (least to greatest) over the seeds. The files beside this page hold every seed's figure with all digits.";

impl Finding<'_> {
    /// The claim in words, under their headings.
    fn words(&self) -> [(&'static str, &str); 4] {
        let Claim { source, predicts, rule, .. } = self.claim;
        [
            ("Where it stands", source),
            ("What it predicts", predicts),
            ("The rule", rule),
            ("Found", &self.judgement.because),
        ]
    }

    /// Heading, heads and rows of a table for each quantity.
    fn tables(&self) -> impl Iterator<Item = (&'static str, Vec<String>, Vec<Vec<String>>)> {
        let quantities =
            self.claim.quantities.iter().map(|quantity| (quantity, Grouped::new(quantity, &self.figures)));
        quantities.filter(|(_, grouped)| !grouped.places.is_empty()).map(|(quantity, grouped)| {
            let subjects = grouped.subjects.iter().map(|subject| subject.name.to_owned());
            let heads = [quantity.over.to_owned()].into_iter().chain(subjects).collect();
            (quantity.name, heads, grouped.rows().collect())
        })
    }
}

impl Page<'_> {
    /// In GitHub's Markdown; the pictures and figures are files in the same folder.
    pub fn markdown(&self) -> String {
        let summary = self.findings.iter().map(|Finding { claim, judgement, .. }| {
            let Judgement { verdict, because } = judgement;
            [format!("[{}](#{})", claim.title, claim.name), verdict.to_string(), because.clone()]
        });
        let mut out = format!("# {}\n\n{}\n", TITLE, table(3, ["claim", "verdict", "found"], summary));
        for finding in &self.findings {
            let Claim { name, title, .. } = finding.claim;
            out += &format!("## <a id=\"{name}\"></a>{title}: {}\n\n", finding.judgement.verdict);
            for (heading, text) in finding.words() {
                out += &format!("**{heading}.** {text}\n\n");
            }
            if finding.picture.is_some() {
                out += &format!(
                    "![The figures of {name}]({name}.png)\n\n{CELLS} They are in [{name}.csv]({name}.csv).\n\n"
                );
            }
            for (quantity, heads, rows) in finding.tables() {
                out += &format!("*{quantity}*\n\n{}\n", table(0, heads, rows));
            }
        }
        out + &format!(
            "## What was run\n\n{}",
            table(2, ["setting", "value"], self.facts.iter().cloned().map(<[String; 2]>::from))
        )
    }

    /// In HTML, with the pictures in it.
    pub fn html(&self) -> String {
        let mut summary = String::new();
        let mut sections = String::new();
        for finding in &self.findings {
            let Finding { claim: Claim { name, title, .. }, judgement, picture, .. } = finding;
            let (title, because, verdict) =
                (escaped(title), marked_up(&judgement.because), badge(judgement.verdict));
            summary += &format!(
                "<tr><th scope=\"row\"><a href=\"#{name}\">{title}</a></th><td>{verdict}</td><td>{because}</td></tr>\n"
            );
            sections += &format!("<section id=\"{name}\">\n<h2>{title} {verdict}</h2>\n<dl>\n");
            for (heading, text) in finding.words() {
                sections += &format!("<dt>{heading}</dt><dd>{}</dd>\n", marked_up(text));
            }
            sections += "</dl>\n";
            if let Some(png) = picture {
                let data = BASE64.encode(png);
                sections += &format!(
                    "<figure><img alt=\"{title}: the figures below as curves or points\" src=\"data:image/png;base64,{data}\"></figure>\n"
                );
                sections += "<details><summary>The figures</summary>\n";
                for (quantity, heads, rows) in finding.tables() {
                    sections += &html_table(quantity, &heads, &rows);
                }
                sections += &format!("<p>{CELLS}</p></details>\n");
            }
            sections += "</section>\n";
        }
        let facts: Vec<_> = self.facts.iter().map(|(key, value)| vec![key.clone(), value.clone()]).collect();
        let facts = html_table("", &["setting".to_owned(), "value".to_owned()], &facts);
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{TITLE}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{TITLE}</h1>\n\
             <div class=\"wide\"><table class=\"summary\">\n\
             <thead><tr><th scope=\"col\">claim</th><th scope=\"col\">verdict</th><th scope=\"col\">found</th></tr></thead>\n\
             <tbody>\n{summary}</tbody>\n</table></div>\n{sections}<section id=\"run\">\n<h2>What was run</h2>\n{facts}</section>\n\
             </main>\n</body>\n</html>\n"
        )
    }
}

const STYLE: &str = "\
:root { color-scheme: light dark; --line: #8886; --yes: #0a7d4b; --no: #b3261e; --open: #7a5c00 }
@media (prefers-color-scheme: dark) { :root { --yes: #5fd39b; --no: #ff9a91; --open: #e8c65a } }
body { font: 17px/1.5 system-ui, sans-serif; margin: 0 }
main { max-width: 60rem; margin: auto; padding: 1rem }
h1 { font-size: 1.7rem; line-height: 1.25 }
h2 { font-size: 1.25rem; line-height: 1.3; margin-top: 2.5rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 0.92rem }
caption { text-align: left; font-weight: 600; padding: 0.7rem 0 0.3rem }
th, td { border-bottom: 1px solid var(--line); padding: 0.35rem 0.9rem 0.35rem 0; text-align: left; vertical-align: top }
.summary th[scope=row] { font-weight: 400; min-width: 9rem }
.verdict { font-weight: 600; white-space: nowrap }
.holds { color: var(--yes) } .does-not-hold { color: var(--no) } .undecided-here { color: var(--open) }
dt { font-weight: 600; margin-top: 0.6rem } dd { margin: 0 }
figure { margin: 1rem 0; background: #fff; border-radius: 0.5rem; padding: 0.5rem; border: 1px solid var(--line) }
figure { overflow-x: auto }
img { display: block; width: 100%; min-width: 42rem; height: auto }
summary { cursor: pointer }
@media (max-width: 40rem) { .summary tr { display: block; padding: 0.6rem 0; border-bottom: 1px solid var(--line) }
.summary thead { display: none } .summary th, .summary td { display: block; border: 0; padding: 0.1rem 0 } }
";

fn badge(verdict: Verdict) -> String {
    let words = verdict.to_string();
    format!("<span class=\"verdict {}\">{words}</span>", words.replace(' ', "-"))
}

fn html_table(caption: &str, heads: &[String], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String], tag: &str| -> String {
        row.iter().map(|cell| format!("<{tag}>{}</{}>", escaped(cell), &tag[..2])).collect()
    };
    let caption =
        if caption.is_empty() { String::new() } else { format!("<caption>{}</caption>", escaped(caption)) };
    let body: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(row, "td"))).collect();
    let head = cells(heads, "th scope=\"col\"");
    format!(
        "<div class=\"wide\"><table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )
}

/// Text as HTML has it; what is between backticks is code.
fn marked_up(text: &str) -> String {
    let parts = escaped(text);
    let parts = parts.split('`').enumerate();
    parts.map(|(i, part)| if i % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

/// Text as HTML has it.
fn escaped(text: &str) -> String {
    let character = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::claims::CLAIMS;
    use crate::experiments::claims::tests::figures;

    fn page() -> Page<'static> {
        let findings = CLAIMS.iter().zip([Verdict::Holds, Verdict::Undecided].into_iter().cycle()).map(
            |(claim, verdict)| {
                let figures = if verdict == Verdict::Holds {
                    figures(&claim.quantities[0], &[("a<b", "1", 0.5)])
                } else {
                    Vec::new()
                };
                let picture = (!figures.is_empty()).then(|| b"PNG".to_vec());
                let because = format!("{} & <i>more</i> | \"so\"", claim.name);
                Finding { claim, figures, judgement: Judgement { verdict, because }, picture }
            },
        );
        Page { facts: vec![("processor".to_owned(), "<script>".to_owned())], findings: findings.collect() }
    }

    #[test]
    fn the_page_has_everything_and_needs_nothing() {
        let html = page().html();
        for claim in &CLAIMS {
            assert!(
                html.contains(&format!("href=\"#{}\"", claim.name))
                    && html.contains(&format!("id=\"{}\"", claim.name))
            );
            for text in [claim.title, claim.source, claim.predicts, claim.rule] {
                assert!(html.contains(&escaped(text)), "{text}");
            }
            assert!(html.contains(&format!("{} &amp; &lt;i&gt;more&lt;/i&gt;", claim.name)));
        }
        for tag in html.split('<').skip(1) {
            let tag = tag.split_once('>').expect("every tag ends").0;
            assert!(!["script", "link", "iframe"].iter().any(|other| tag.starts_with(other)), "{tag}");
            for resource in
                ["src=\"", "href=\"", "url("].iter().filter_map(|name| Some(tag.split_once(name)?.1))
            {
                assert!(resource.starts_with("data:image/png;base64,") || resource.starts_with('#'), "{tag}");
            }
            assert!(!tag.starts_with("img") || tag.contains(&BASE64.encode(b"PNG")), "{tag}");
        }
        assert_eq!(
            html.matches("<img").count(),
            CLAIMS.len().div_ceil(2),
            "claims without figures have no picture"
        );
        // Every element that is opened is closed.
        for element in
            ["section", "table", "dl", "figure", "details", "tr", "td", "th", "div", "main", "body"]
        {
            let opened =
                html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
            assert_eq!(opened, html.matches(&format!("</{element}>")).count(), "{element}");
        }
    }

    #[test]
    fn the_page_in_markdown_says_the_same() {
        let text = page().markdown();
        for claim in &CLAIMS {
            for part in [claim.title, claim.source, claim.predicts, claim.rule] {
                assert!(text.contains(part), "{part}");
            }
        }
        let summary = crate::report::tests::cells(&text, "# What");
        assert_eq!(summary.len(), 1 + CLAIMS.len());
        assert_eq!(summary[1][1], "holds");
    }
}
