// Goregex prints what Go's regexp answers to generated patterns: the golden file ../golden/goregex.tsv.
//
//	go run main.go > ../golden/goregex.tsv
//
// A pattern is anchored as Prometheus does, ^(?s:PATTERN)$, and has to be good alone too. The seed is fixed, so the
// same release of Go prints the same file. Each line has one of these forms, with tabs between and \\, \t, \n, \r,
// \0 escaped:
//
//	e pattern message
//	m pattern subject true|false
//	x pattern subject template replacement
package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"regexp/syntax"
	"strings"
)

var rng = rand.New(rand.NewPCG(20, 26))

func pick[T any](list []T) T { return list[rng.IntN(len(list))] }

// Letters that fold in more than one way, characters around the ASCII classes, and plain ones.
var runes = []rune("aabbcxyzABKkKsSſßẞéÉαΣσςåÅÅdžDž019٣_-./ \t\n\v:µμΜ𐐀𐐨😀")

var words = []string{"foo", "bar", "baz", "node", "up", "http", "job-1", "10.0.0.1", "é"}

var atoms = []string{
	".", `\d`, `\D`, `\w`, `\W`, `\s`, `\S`, "[abc]", "[^abc]", "[a-c0-9]", "[[:alpha:]]", "[[:^word:]]", "[[:punct:]_]",
	`\pL`, `\PL`, `\p{Greek}`, `\P{^Greek}`, `\p{^Lu}`, `\p{lowercase letter}`, `[\pN_]`, `[^\PL]`, `[\d-z]`, "[]a]", "[^]a]",
	"[a-]", "[a&&b]", "[[a]b]", `\x41`, `\x{e9}`, `\101`, `\0`, `\n`, `\t`, `\v`, `\Qa.b\E`, `\Q\E`, `\.`, `\-`, `\/`, `\<`, `\>`,
	"{", "}", "{a}", "a{", "a{,2}", "]", "[s]", "[K]", "[α-ω]", `[\x{D800}-\x{DFFF}]`, `[^\x{0}-\x{10FFFF}]`, `\PN`, `[^\n]`, `\p{Any}`,
	`\p{ASCII}`, `\p{Lt}`, `\p{LC}`, `[\W]`, `[^\W]`, `[^\S\n]`,
}

var looks = []string{"^", "$", `\b`, `\B`, `\A`, `\z`, "(?m)^", "(?m)$", "(?m:$)", "(?m:^)"}

var opens = []string{"(", "(", "(?:", "(?:", "(?i:", "(?U:", "(?-s:", "(?P<n>", "(?<m>", "(?s-i:", "(?m:", "(?im-sU:"}

var repeats = []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{1,}", "{0,2}", "{2,3}?", "{0}", "{1}", "{0,}", "{3}"}

func pattern(depth int) string {
	switch n := rng.IntN(12); {
	case depth == 0 || n < 3:
		if rng.IntN(2) == 0 {
			return pick(atoms)
		}
		r := pick(runes)
		return regexp.QuoteMeta(string(r))
	case n < 6:
		var out strings.Builder
		for range 2 + rng.IntN(2) {
			out.WriteString(pattern(depth - 1))
		}
		return out.String()
	case n < 7:
		return pick(looks) + pattern(depth-1)
	case n < 9:
		return pick(opens) + pattern(depth-1) + ")"
	case n < 10:
		branches := []string{}
		for range 2 + rng.IntN(2) {
			if rng.IntN(5) == 0 {
				branches = append(branches, "")
			} else {
				branches = append(branches, pattern(depth-1))
			}
		}
		return "(" + strings.Join(branches, "|") + ")"
	case n < 11:
		return pick([]string{"(?i)", "(?U)", "(?-s)", "(?i)"}) + pattern(depth-1)
	default:
		return "(?:" + pattern(depth-1) + ")" + pick(repeats)
	}
}

// simple makes patterns of the shapes that dashboards use.
func simple() string {
	var out strings.Builder
	for range 1 + rng.IntN(4) {
		switch rng.IntN(8) {
		case 0, 1:
			out.WriteString(".*")
		case 2:
			out.WriteString(pick([]string{".+", ".+?", ".*?", ".?", ".{2,}", "(.*)", "(?:.+)"}))
		case 3:
			out.WriteString("(" + pick(words) + "|" + pick(words) + "|" + pick(words) + ")")
		case 4:
			out.WriteString("(?:" + pick(words) + ")?")
		case 5:
			out.WriteString(pick([]string{"[ab]", "[0-9]", "(a|b){2}", "x{2}", "^", "$"}))
		default:
			out.WriteString(pick(words))
		}
	}
	if rng.IntN(4) == 0 {
		out.WriteString("|" + pick(words) + pick([]string{"", ".*", ".+"}))
	}
	return out.String()
}

// captures makes patterns whose groups can share a text out in many ways.
func captures() string {
	groups := []string{"(a*)", "(a*?)", "(a+)", "(a??)", "(a?)", "(.*)", "(.+?)", "(?P<n>a|ab)", "(b|)", "(|b)", "((a)|b)*", "((a)|b)*?", "(?:(a)|(b))+",
		"(a{1,2})", "(a{1,2}?)", "((?:ab?)+)", "(?:(a*)+)", "(?:(a|b)*)*", "(|a)*", "(|a)+", "(\\b)", "(b*){0}", "(?:(a)|b(a*))"}
	out := pick([]string{"", "", "(?U)", "(?i)"})
	for range 2 + rng.IntN(3) {
		out += pick(groups)
	}
	return out
}

var tokens = []string{
	"a", "b", "(", ")", "[", "]", "{", "}", "*", "+", "?", "|", "^", "$", `\`, ".", ",", "-", "0", "1", "2", "{2}", "{1001}", "{2,1}",
	"{01}", "{1,1000}", "{500}", "{3}", `\Q`, `\E`, `\x`, `\x{`, `\x{110000}`, `\x4`, "(?", "(?i", "(?i)", "(?:", "(?P<n>", "(?P<", "(?<n", "(?P<é>",
	"(?<>", "(?-", "(?i-", "(?s-i:", "(?x)", "(?=", "[:", ":]", "[:alpha:]", "[[:foo:]]", "[[:^digit:]]", `\p`, `\p{`, `\p{Greek}`, `\p{Foo}`, `\pX`, `\P`,
	`\d`, `\1`, `\08`, `\18`, `\8`, `\C`, `\Z`, `\e`, `\é`, `\u0041`, "[z-a]", `[a-\d]`, `[\d-z]`, "[^", "é", "[]", "[^]", "[a-", "**", "(?U)", `\z`, "(|",
}

func soup() string {
	var out strings.Builder
	for range 1 + rng.IntN(5) {
		out.WriteString(pick(tokens))
	}
	return out.String()
}

// instance writes a text that the tree is likely to match.
func instance(re *syntax.Regexp, out *strings.Builder) {
	times := 0
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 && rng.IntN(2) == 0 {
				folded := regexp.MustCompile(`(?i)^` + regexp.QuoteMeta(string(r)) + `$`)
				for _, other := range runes {
					if folded.MatchString(string(other)) && rng.IntN(2) == 0 {
						r = other
					}
				}
			}
			out.WriteRune(r)
		}
	case syntax.OpCharClass:
		class := regexp.MustCompile("^" + re.String() + "$")
		for range 40 {
			if r := string(pick(runes)); class.MatchString(r) {
				out.WriteString(r)
				return
			}
		}
		if len(re.Rune) > 0 && (re.Rune[0] < 0xD800 || re.Rune[0] > 0xDFFF) {
			out.WriteRune(re.Rune[0])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out.WriteRune(pick(runes))
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			instance(sub, out)
		}
	case syntax.OpAlternate:
		instance(pick(re.Sub), out)
	case syntax.OpStar, syntax.OpQuest, syntax.OpPlus:
		times = rng.IntN(3)
		if re.Op == syntax.OpPlus {
			times++
		} else if re.Op == syntax.OpQuest {
			times = rng.IntN(2)
		}
	case syntax.OpRepeat:
		times = re.Min
		if re.Max != re.Min {
			times += rng.IntN(2)
		}
	}
	for range times {
		instance(re.Sub[0], out)
	}
}

// near changes one character.
func near(text string) string {
	list := []rune(text)
	at := rng.IntN(len(list) + 1)
	switch rng.IntN(3) {
	case 0:
		return string(list[:at]) + string(pick(runes)) + string(list[at:])
	case 1:
		return string(list[:at]) + string(list[min(at+1, len(list)):])
	default:
		return string(list[:at]) + string(pick(runes)) + string(list[min(at+1, len(list)):])
	}
}

var templates = []string{"$1", "${1}", "$2", "$0", "$n", "${n}", "${m}", "$$", "$", "${", "}", "$1x", "${1}x", "$01", "${9}", "x", "$é", "é", "$n-", "${n"}

var escaper = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`)

func emit(out *bufio.Writer, fields ...string) {
	for i, field := range fields {
		fields[i] = escaper.Replace(field)
	}
	fmt.Fprintln(out, strings.Join(fields, "\t"))
}

func answer(out *bufio.Writer, source string) {
	tree, err := syntax.Parse(source, syntax.Perl|syntax.DotNL)
	var re *regexp.Regexp
	if err == nil {
		re, err = regexp.Compile("^(?s:" + source + ")$")
	}
	if err != nil {
		emit(out, "e", source, err.Error())
		return
	}
	var text strings.Builder
	instance(tree, &text)
	subject := text.String()
	if len(subject) > 60 {
		subject = "a"
	}
	subjects := []string{subject, near(subject)}
	if rng.IntN(4) == 0 {
		subjects = append(subjects, pick(words), "")
	}
	for _, subject := range subjects {
		emit(out, "m", source, subject, fmt.Sprint(re.MatchString(subject)))
	}
	match := re.FindStringSubmatchIndex(subject)
	if match != nil && rng.IntN(2) == 0 {
		template := ""
		for range 1 + rng.IntN(4) {
			template += pick(templates)
		}
		if re.NumSubexp() > 1 {
			template += "<$1><$2><$3>"
		}
		emit(out, "x", source, subject, template, string(re.ExpandString(nil, template, subject, match)))
	}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for range 1250 {
		answer(out, pattern(3))
	}
	for range 450 {
		answer(out, simple())
	}
	for range 500 {
		answer(out, captures())
	}
	for range 1000 {
		answer(out, soup())
	}
}
