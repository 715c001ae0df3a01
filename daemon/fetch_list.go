package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// mostFetched is how large a fetched list may be.
const mostFetched = 1 << 30

// fetchPatience is how long fetching a list may take in all.
const fetchPatience = 15 * time.Minute

// errNotModified says that a list is as it was when its ETag was given out.
var errNotModified = errors.New("as it was")

// Fetched is a list from the web, whole.
type Fetched struct {
	Text io.ReadSeekCloser // closing it frees its room on the disk
	ETag string            // by which the server knows this version; empty: it says none
}

// FetchList fetches a list. etag is that of the version that is known; empty:
// none is. beat is called as parts of it come.
func FetchList(ctx context.Context, address, etag string, beat func()) (*Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", address, err)
	}
	request.Header.Set("User-Agent", "btcwatch")
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	client := &http.Client{CheckRedirect: keepScheme}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch the list: %w", err) // the error names the address
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotModified && etag != "":
		return nil, errNotModified
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("fetch %s: the server answers %s", address, response.Status)
	}
	text, err := keepFetched(response, beat)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", address, err)
	}
	return &Fetched{Text: text, ETag: response.Header.Get("ETag")}, nil
}

// keepScheme follows a few redirects, but none that leaves encryption behind.
func keepScheme(request *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("it redirects again and again")
	}
	if via[0].URL.Scheme == "https" && request.URL.Scheme != "https" {
		return fmt.Errorf("it redirects to %s, which is not encrypted", request.URL.Host)
	}
	return nil
}

// keepFetched brings an answer to a file that has no name any more.
func keepFetched(response *http.Response, beat func()) (io.ReadSeekCloser, error) {
	file, err := os.CreateTemp("", "btcwatch-list-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name())
	n, err := io.Copy(file, io.LimitReader(beating{response.Body, beat}, mostFetched+1))
	switch {
	case err != nil:
	case n > mostFetched:
		err = fmt.Errorf("it is larger than %d MB", mostFetched>>20)
	case response.ContentLength > 0 && !response.Uncompressed && n != response.ContentLength:
		err = fmt.Errorf("%d of %d bytes came", n, response.ContentLength)
	default:
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// beating gives a sign of life with each part that is read.
type beating struct {
	from io.Reader
	beat func()
}

func (b beating) Read(p []byte) (int, error) {
	b.beat()
	return b.from.Read(p)
}
