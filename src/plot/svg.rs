//! A picture as SVG. Letters are outlines, so that it looks the same wherever it is opened; pixels lie in the file.

use super::colours::Colour;
use super::font;
use super::picture::{Picture, Shape, Text};
use crate::text::shown;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The text of the file. `title` is what programs read aloud or show for the picture.
pub fn svg(picture: &Picture, title: &str) -> String {
    let (width, height) = (number(picture.width), number(picture.height));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{}</title>\n",
        escaped(title)
    );
    svg += &letters(picture);
    svg += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    picture.shapes.iter().for_each(|shape| write_shape(&mut svg, shape).expect("a String takes all"));
    svg + "</svg>\n"
}

/// The outlines of all letters that occur, each once.
fn letters(picture: &Picture) -> String {
    let of = |text: &Text| {
        let bold = text.bold;
        font::letters(&text.text, bold).0.into_iter().map(move |(glyph, _)| (bold, glyph))
    };
    let glyphs: BTreeSet<(bool, u16)> = picture.texts().flat_map(of).collect();
    let mut defs = String::from("<defs>\n");
    for (bold, glyph) in glyphs {
        let outline = font::outline(glyph, bold);
        if !outline.is_empty() {
            defs += &format!("<path id=\"{}\" d=\"{outline}\"/>\n", id(bold, glyph));
        }
    }
    defs + "</defs>\n"
}

fn id(bold: bool, glyph: u16) -> String {
    format!("{}{glyph}", if bold { 'b' } else { 'r' })
}

fn write_shape(svg: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape {
        Shape::Rectangle { x, y, width, height, fill } => {
            let ([x, y, width, height], fill) = ([x, y, width, height].map(|side| number(*side)), colour(fill));
            writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>")
        }
        Shape::Line { points, colour: stroke, width, dashed } => {
            let dash = if *dashed { " stroke-dasharray=\"5 3\"" } else { "" };
            let (points, stroke, width) = (self::points(points), colour(stroke), number(*width));
            writeln!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" \
                 stroke-linejoin=\"round\"{dash}/>"
            )
        }
        Shape::Area { points, fill } => {
            writeln!(svg, "<polygon points=\"{}\" fill=\"{}\" fill-opacity=\"0.5\"/>", self::points(points), colour(fill))
        }
        Shape::Dot { x, y, radius, fill } => {
            let ([x, y, r], fill) = ([x, y, radius].map(|value| number(*value)), colour(fill));
            writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"{fill}\" stroke=\"#fff\" stroke-width=\"0.6\"/>")
        }
        Shape::Text(text) => write_text(svg, text),
        Shape::Raster { x, y, width, height, raster } => {
            // The second name is for programs that do not know the first.
            let sharp = if raster.sharp { " image-rendering=\"optimizeSpeed\" style=\"image-rendering:pixelated\"" } else { "" };
            let [x, y, width, height] = [x, y, width, height].map(|side| number(*side));
            let png = STANDARD.encode(&raster.png);
            writeln!(
                svg,
                "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"{sharp} \
                 xlink:href=\"data:image/png;base64,{png}\"/>"
            )
        }
    }
}

fn write_text(svg: &mut String, text: &Text) -> std::fmt::Result {
    let scale = text.size / font::units(text.bold);
    let turn = if text.angle == 0.0 { String::new() } else { format!(" rotate({})", number(text.angle)) };
    write!(
        svg,
        "<g aria-label=\"{}\" fill=\"{}\" transform=\"translate({} {}){turn} translate({} 0) scale({scale:.7} -{scale:.7})\">",
        escaped(&text.text),
        colour(&text.colour),
        number(text.x),
        number(text.y),
        number(text.start()),
    )?;
    for (glyph, x) in font::letters(&text.text, text.bold).0 {
        if !font::outline(glyph, text.bold).is_empty() {
            write!(svg, "<use xlink:href=\"#{}\" x=\"{x}\"/>", id(text.bold, glyph))?;
        }
    }
    writeln!(svg, "</g>")
}

fn points(points: &[[f64; 2]]) -> String {
    points.iter().map(|[x, y]| format!("{},{}", number(*x), number(*y))).collect::<Vec<_>>().join(" ")
}

fn colour([r, g, b]: &Colour) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// With at most three decimals.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".into() } else { short.to_owned() }
}

/// Text for an element or an attribute of XML or HTML, [shown] so that it steers no page. Characters that XML does not allow are left out.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in shown(text).chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' | '\t' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_defined_once_and_names_cannot_break_the_file() {
        let mut picture = Picture::new(100.0, 50.0);
        picture.write(Text::new(0.0, 20.0, 10.0, "aa<b&\"\u{1}"));
        let svg = svg(&picture, "a & b");
        // a, b, <, &, ", \, u, {, 1, }
        assert_eq!(svg.matches("<path id=").count(), 10);
        assert!(svg.contains("<title>a &amp; b</title>") && svg.contains("aria-label=\"aa&lt;b&amp;&quot;\\u{1}\""), "{svg}");
        assert!(resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).is_ok());
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, -0.0001, 12.5, 2.71449, 100.0].map(number), ["0", "0", "12.5", "2.714", "100"]);
    }
}
