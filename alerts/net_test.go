package alerts

import (
	"encoding/pem"
	"io"
	"log"
	"time"
)

const limit = 5 * time.Second

func timeNow() time.Time { return time.Now() }

func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

func pemOf(certificate []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
}
