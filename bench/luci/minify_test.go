// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import "testing"

func TestMinify(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"var a = 1; // one\nvar b", "var a=1;var b"},
		{"a /* x */ b", "a b"},
		{"a\n(b)", "a\n(b)"},
		{"a +\n b", "a+\nb"},
		{"a + +b", "a+ +b"},
		{"'a  // b' + \"/* c\" + `d  e`", "'a  // b'+\"/* c\"+`d  e`"},
		{`x = '\'  y'`, `x='\'  y'`},
		{"x = /a  '[/]\\/ b/.test(y)", "x=/a  '[/]\\/ b/.test(y)"},
		{"a = b / c / d", "a=b/c/d"},
		{"if (x)\n\t\treturn\t1\n}\n", "if(x)\nreturn 1}"},
		{"x = 'ü' + ü", "x='ü'+ü"},
		// jsmin does not recognise a regular expression after a word and removes its
		// blanks: a view must not have one there.
		{"return /a  b/", "return/a b/"},
	} {
		got, err := Minify(c.in)
		if err != nil || got != c.want {
			t.Errorf("%q became %q, %v, not %q", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"/* a", "x = 'a", "x = /a", "x = `"} {
		if got, err := Minify(in); err == nil {
			t.Errorf("%q became %q", in, got)
		}
	}
}
