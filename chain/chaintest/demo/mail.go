package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"

	"github.com/emersion/go-smtp"
)

// post is a mail server that keeps what it takes.
type post struct{ *inbox }

// serve listens on a free port of 127.0.0.1.
func (p post) serve() (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{p}, nil }))
	server.Domain, server.ErrorLog = "mail.example.org", log.New(io.Discard, "", 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // it ends with stop
	}()
	return listener.Addr().String(), func() {
		_ = server.Close() // connections of a daemon that is gone
		<-done
	}, nil
}

// mailSession takes mail from one client.
type mailSession struct{ post post }

func (m *mailSession) Reset()                               {}
func (m *mailSession) Logout() error                        { return nil }
func (m *mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (m *mailSession) Rcpt(string, *smtp.RcptOptions) error { return nil }

// Data takes one mail. The alert's id is the first part of the message id.
func (m *mailSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	message, err := mail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		m.post.fault("a mail cannot be read: %s", err)
		return nil
	}
	id, _, _ := strings.Cut(strings.Trim(message.Header.Get("Message-Id"), "<> "), "@")
	m.post.take(id, content)
	return nil
}

// readable gives a mail as a person sees it: who, what about, and the text.
func readable(content []byte) (string, error) {
	message, err := mail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	if err != nil {
		return "", err
	}
	text, err := plainText(message)
	if err != nil {
		return "", err
	}
	head := fmt.Sprintf("From:    %s\nTo:      %s\nSubject: %s\n", message.Header.Get("From"), message.Header.Get("To"), subject)
	if message.Header.Get("In-Reply-To") != "" {
		head += "         (a reply to the mail that told of the payment first)\n"
	}
	return head + "\n" + text, nil
}

func plainText(message *mail.Message) (string, error) {
	_, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return "", err
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return "", fmt.Errorf("the mail has no plain text: %w", err)
		}
		if !strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			continue
		}
		var content io.Reader = part
		if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
			content = quotedprintable.NewReader(part)
		}
		text, err := io.ReadAll(content)
		return strings.ReplaceAll(string(text), "\r\n", "\n"), err
	}
}
