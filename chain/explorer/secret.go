package explorer

import (
	"errors"
	"net/url"
	"strings"

	"btcwatch/keyfile"
)

// credentials gives who we are to the explorer, where that does not change: from
// the settings, else from the url.
func credentials(s Settings, inURL *url.Userinfo) (*url.Userinfo, error) {
	switch {
	case s.CookieFile != "" && (s.User != "" || s.PasswordFile != ""):
		return nil, errors.New("cookie_file and user with password_file exclude each other: give one of them")
	case s.User == "" && s.PasswordFile == "":
		return inURL, nil
	case s.User == "" || s.PasswordFile == "":
		return nil, errors.New("user and password_file belong together: give both or neither")
	}
	password, err := keyfile.Secret("password_file", s.PasswordFile)
	if err != nil {
		return nil, err
	}
	return url.UserPassword(s.User, password), nil
}

// userinfo gives the credentials of the next request. A node writes its cookie
// anew at each of its starts.
func (c *client) userinfo() (*url.Userinfo, error) {
	if c.cookie == "" {
		return c.user, nil
	}
	text, err := keyfile.Secret("cookie_file", c.cookie)
	if err != nil {
		return nil, &Error{Kind: ErrUnavailable, Detail: err.Error() + ": is the node running?"}
	}
	name, password, ok := strings.Cut(text, ":")
	if !ok {
		return nil, &Error{Kind: ErrUnavailable, Detail: "cookie_file: " + c.cookie + " does not hold USER:PASSWORD"}
	}
	return url.UserPassword(name, password), nil
}
