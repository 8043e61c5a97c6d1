//! Named classes: `\d`, `[:alpha:]`, `\p{Greek}`.

use super::runes::{RuneSet, property};

/// The set of a Perl escape by its letter, before any negation or folding. ASCII only.
pub(super) fn perl(letter: char) -> Option<&'static [(u32, u32)]> {
    Some(match letter.to_ascii_lowercase() {
        'd' => &[(0x30, 0x39)],
        's' => &[(0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20)],
        'w' => WORD,
        _ => return None,
    })
}

const WORD: &[(u32, u32)] = &[(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)];

/// The set of `[:name:]`. ASCII only.
pub(super) fn posix(name: &str) -> Option<&'static [(u32, u32)]> {
    Some(match name {
        "alnum" => &[(0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)],
        "alpha" => &[(0x41, 0x5A), (0x61, 0x7A)],
        "ascii" => &[(0, 0x7F)],
        "blank" => &[(0x09, 0x09), (0x20, 0x20)],
        "cntrl" => &[(0, 0x1F), (0x7F, 0x7F)],
        "digit" => &[(0x30, 0x39)],
        "graph" => &[(0x21, 0x7E)],
        "lower" => &[(0x61, 0x7A)],
        "print" => &[(0x20, 0x7E)],
        "punct" => &[(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)],
        "space" => &[(0x09, 0x0D), (0x20, 0x20)],
        "upper" => &[(0x41, 0x5A)],
        "word" => WORD,
        "xdigit" => &[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)],
        _ => return None,
    })
}

/// The set of `\p{name}`: general categories by their short and long names, scripts by their long
/// names, `Any`, `Assigned`, `ASCII`. Case, `_`, `-` and spaces are ignored. Other properties are
/// unknown, as in Go.
///
/// The tables are those of `regex-syntax` (Unicode 16). Go's tables depend on its release; they
/// differ in characters that were not assigned then. Go 1.25 and 1.26 refuse scripts of two words
/// (`Old_Italic`) by a mistake that earlier releases did not have. We accept them.
pub(super) fn unicode(name: &str) -> Option<RuneSet> {
    let name: String = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();

    match name.as_str() {
        "any" => Some(RuneSet::any()),
        "ascii" => Some(RuneSet::new(vec![(0, 0x7F)])),
        "assigned" => property("gc=Cn").map(|unassigned| unassigned.negate()),
        // No text contains a surrogate, and `regex-syntax` does not know them, but the name is
        // valid.
        "cs" | "surrogate" => Some(RuneSet::new(vec![(0xD800, 0xDFFF)])),
        "lc" => property("gc=Cased_Letter"),
        other if names(CATEGORIES, other) => property(&format!("gc={other}")),
        other if names(SCRIPTS, other) => property(&format!("sc={other}")),
        _ => None,
    }
}

/// All names of both lists.
#[cfg(test)]
pub(super) fn all_names() -> impl Iterator<Item = &'static str> {
    CATEGORIES
        .split_ascii_whitespace()
        .chain(SCRIPTS.split_ascii_whitespace())
}

fn names(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == name)
}

/// General categories by short and long name, in the form that is compared.
const CATEGORIES: &str = "\
    c casedletter cc cf closepunctuation cn cntrl co combiningmark connectorpunctuation control currencysymbol \
    dashpunctuation decimalnumber digit enclosingmark finalpunctuation format initialpunctuation l letter \
    letternumber lineseparator ll lm lo lowercaseletter lt lu m mark mathsymbol mc me mn modifierletter \
    modifiersymbol n nd nl no nonspacingmark number openpunctuation otherletter other othernumber otherpunctuation \
    othersymbol p paragraphseparator pc pd pe pf pi po privateuse ps punct punctuation s sc separator sk sm so \
    spaceseparator spacingmark symbol titlecaseletter unassigned uppercaseletter z zl zp zs";

/// Scripts, in the form that is compared.
const SCRIPTS: &str = "\
    adlam ahom anatolianhieroglyphs arabic armenian avestan balinese bamum bassavah batak bengali bhaiksuki bopomofo \
    brahmi braille buginese buhid canadianaboriginal carian caucasianalbanian chakma cham cherokee chorasmian common \
    coptic cuneiform cypriot cyprominoan cyrillic deseret devanagari divesakuru dogra duployan egyptianhieroglyphs \
    elbasan elymaic ethiopic garay georgian glagolitic gothic grantha greek gujarati gunjalagondi gurmukhi \
    gurungkhema han hangul hanifirohingya hanunoo hatran hebrew hiragana imperialaramaic inherited \
    inscriptionalpahlavi inscriptionalparthian javanese kaithi kannada katakana kawi kayahli kharoshthi \
    khitansmallscript khmer khojki khudawadi kiratrai lao latin lepcha limbu lineara linearb lisu lycian lydian \
    mahajani makasar malayalam mandaic manichaean marchen masaramgondi medefaidrin meeteimayek mendekikakui \
    meroiticcursive meroitichieroglyphs miao modi mongolian mro multani myanmar nabataean nagmundari nandinagari \
    newa newtailue nko nushu nyiakengpuachuehmong ogham olchiki oldhungarian olditalic oldnortharabian oldpermic \
    oldpersian oldsogdian oldsoutharabian oldturkic olduyghur olonal oriya osage osmanya pahawhhmong palmyrene \
    paucinhau phagspa phoenician psalterpahlavi rejang runic samaritan saurashtra sharada shavian siddham \
    signwriting sinhala sogdian sorasompeng soyombo sundanese sunuwar sylotinagri syriac tagalog tagbanwa taile \
    taitham taiviet takri tamil tangsa tangut telugu thaana thai tibetan tifinagh tirhuta todhri toto tulutigalari \
    ugaritic vai vithkuqi wancho warangciti yezidi yi zanabazarsquare";
