package watchlist

import "testing"

func TestLookAlike(t *testing.T) {
	for r, want := range map[rune]byte{
		'А': 'A', 'З': '3', 'Ѕ': 'S', 'с': 'c', 'у': 'y', 'х': 'x', 'Ν': 'N', 'ν': 'v', 'ո': 'n',
		'１': '1', 'Ｓ': 'S', 'ｚ': 'z',
		'𝐀': 'A', '𝐒': 'S', '𝐳': 'z', '𝘈': 'A', '𝚣': 'z', '𝟎': '0', '𝟏': '1', '𝟿': '9',
		'Ⓐ': 'A', 'Ⓩ': 'Z', 'ⓐ': 'a', 'ⓩ': 'z',
	} {
		if got, ok := lookAlike(r); !ok || got != want {
			t.Errorf("%c (%U) looks like %q %v, want %q", r, r, got, ok, want)
		}
	}
	for _, r := range "1Sé№ж中−！\u200b\U0001f642" {
		if got, ok := lookAlike(r); ok {
			t.Errorf("%c (%U) looks like %q, want nothing", r, r, got)
		}
	}
}
