// Uploads by Google's XML API, which fake-gcs-server takes with signed URLs only: whole objects with
// x-goog-if-generation-match, and objects in parts. Downloads get If-Match, and a bucket that is not there is told as by
// Google. `cargo xtask` adds this file to the server's
// package and wraps its handler; what is stored, listed, read and deleted is the server's own work.

package fakestorage

import (
	"bytes"
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/fsouza/fake-gcs-server/internal/backend"
)

type xmlUploads struct {
	server *Server
	next   http.Handler
	lock   sync.Mutex
	count  int
	// Parts by number, by the upload's id.
	open map[string]map[int][]byte
}

func (s *Server) withXMLUploads(next http.Handler) http.Handler {
	return &xmlUploads{server: s, next: next, open: make(map[string]map[int][]byte)}
}

func (u *xmlUploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, escaped, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	object, err := url.PathUnescape(escaped)
	query := r.URL.Query()
	if _, missing := u.server.backend.GetBucket(name); missing != nil || err != nil {
		// The program answers 500 to who lists a bucket that is not there.
		if query.Has("list-type") || (r.Method == http.MethodPut && r.Header.Get("Authorization") != "") {
			refuse(w, http.StatusNotFound, "NoSuchBucket")
			return
		}
		u.next.ServeHTTP(w, r)
		return
	}
	id := query.Get("uploadId")
	switch {
	case object == "" && query.Has("uploads"):
		u.list(w)
	case object == "":
		u.next.ServeHTTP(w, r)
	case r.Method == http.MethodPost && query.Has("uploads"):
		u.begin(w)
	case r.Method == http.MethodPut && id != "":
		u.part(w, r, id)
	case r.Method == http.MethodPost && id != "":
		u.complete(w, r, name, object, id)
	case r.Method == http.MethodDelete && id != "":
		u.forget(w, id)
	case r.Method == http.MethodPut:
		content, err := io.ReadAll(r.Body)
		if err == nil {
			u.put(w, r, name, object, content)
		}
	default:
		if wanted := r.Header.Get("If-Match"); wanted != "" {
			found, err := u.server.backend.GetObject(name, object)
			defer found.Close()
			if err == nil && strings.Trim(wanted, `"`) != strings.Trim(found.Etag, `"`) {
				refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
				return
			}
		}
		u.next.ServeHTTP(w, r)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
}

// put stores an object and answers its tag, or nothing where it has answered that it did not.
func (u *xmlUploads) put(w http.ResponseWriter, r *http.Request, bucket string, object string, content []byte) string {
	var conditions generationCondition
	if text := r.Header.Get("x-goog-if-generation-match"); text != "" {
		generation, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			refuse(w, http.StatusBadRequest, "InvalidArgument")
			return ""
		}
		conditions.ifGenerationMatch = &generation
	}
	made, err := u.server.createObject(StreamingObject{
		ObjectAttrs: ObjectAttrs{BucketName: bucket, Name: object, ContentType: r.Header.Get(contentTypeHeader)},
		Content:     notImplementedSeeker{io.NopCloser(bytes.NewReader(content))},
	}, conditions)
	if err == backend.PreConditionFailed {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return ""
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, "InternalError")
		return ""
	}
	defer made.Close()
	w.Header().Set("ETag", fmt.Sprintf("%q", made.Etag))
	w.Header().Set("x-goog-generation", strconv.FormatInt(made.Generation, 10))
	return made.Etag
}

func (u *xmlUploads) begin(w http.ResponseWriter) {
	u.lock.Lock()
	defer u.lock.Unlock()
	u.count++
	id := fmt.Sprintf("upload-%d", u.count)
	u.open[id] = make(map[int][]byte)
	fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
}

func (u *xmlUploads) part(w http.ResponseWriter, r *http.Request, id string) {
	content, err := io.ReadAll(r.Body)
	number, wrong := strconv.Atoi(r.URL.Query().Get("partNumber"))
	u.lock.Lock()
	defer u.lock.Unlock()
	parts, found := u.open[id]
	switch {
	case !found:
		refuse(w, http.StatusNotFound, "NoSuchUpload")
	case err != nil || wrong != nil || number < 1 || number > 10000:
		refuse(w, http.StatusBadRequest, "InvalidArgument")
	default:
		parts[number] = content
		w.Header().Set("ETag", tag(content))
	}
}

func tag(content []byte) string {
	return fmt.Sprintf(`"%x"`, md5.Sum(content))
}

func (u *xmlUploads) complete(w http.ResponseWriter, r *http.Request, bucket string, object string, id string) {
	var asked struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if err := xml.NewDecoder(r.Body).Decode(&asked); err != nil {
		refuse(w, http.StatusBadRequest, "MalformedCompleteMultipartUploadRequest")
		return
	}
	u.lock.Lock()
	defer u.lock.Unlock()
	parts, found := u.open[id]
	if !found {
		refuse(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	var content []byte
	for at, part := range asked.Part {
		bytes, found := parts[part.PartNumber]
		if !found || part.ETag != tag(bytes) {
			refuse(w, http.StatusBadRequest, "InvalidPart")
			return
		}
		if at+1 < len(asked.Part) && len(bytes) < 5<<20 {
			refuse(w, http.StatusBadRequest, "EntityTooSmall")
			return
		}
		content = append(content, bytes...)
	}
	if made := u.put(w, r, bucket, object, content); made != "" {
		delete(u.open, id)
		fmt.Fprintf(w, "<CompleteMultipartUploadResult><ETag>&quot;%s&quot;</ETag></CompleteMultipartUploadResult>", made)
	}
}

func (u *xmlUploads) forget(w http.ResponseWriter, id string) {
	u.lock.Lock()
	defer u.lock.Unlock()
	delete(u.open, id)
	w.WriteHeader(http.StatusNoContent)
}

func (u *xmlUploads) list(w http.ResponseWriter) {
	u.lock.Lock()
	defer u.lock.Unlock()
	for id := range u.open {
		fmt.Fprintf(w, "<UploadId>%s</UploadId>\n", id)
	}
}
