// Assembles the image of tap-operator: a static program, the CA roots that Mozilla trusts, and nothing else.
//
// The same input gives the same bytes: names are sorted, owners are root, times are that of the commit. The roots come
// with a Go module, so that they have a version, and the machine's own are not used.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	// The name of the program in the image, and its entrypoint.
	entrypoint = "/tap-operator"
	// Where programs of Linux look for CA roots first.
	roots = "/etc/ssl/certs/ca-certificates.crt"
	// Not root. Its group is root's, so that any other user id can read what this one can: OpenShift runs images so.
	user = "65532:0"
)

type settings struct {
	program, architecture, version, commit, source string
	created                                        time.Time
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run() error {
	var s settings
	flag.StringVar(&s.program, "program", "", "the static program")
	flag.StringVar(&s.architecture, "architecture", "", "amd64 or arm64")
	flag.StringVar(&s.version, "version", "", "version of the program")
	flag.StringVar(&s.commit, "commit", "", "Git commit of the program")
	flag.StringVar(&s.source, "source", "", "URL of the repository")
	created := flag.Int64("created", 0, "time of the commit, in seconds since 1970")
	archive := flag.String("archive", "", "write an OCI archive to this file")
	root := flag.String("root", "", "write the files of the image into this directory instead")
	flag.Parse()
	if s.program == "" || s.architecture == "" || (*archive == "") == (*root == "") {
		return errors.New("-program, -architecture and one of -archive and -root are needed")
	}
	s.created = time.Unix(*created, 0).UTC()
	if err := checkProgram(s.program, s.architecture); err != nil {
		return err
	}
	files, err := content(s.program)
	if err != nil {
		return err
	}
	if *root != "" {
		return writeRoot(*root, files)
	}
	image, err := assemble(s, files)
	if err != nil {
		return err
	}
	if err := writeArchive(*archive, image, s); err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}

// checkProgram refuses a program that would not start in the image.
func checkProgram(path, architecture string) error {
	program, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer program.Close()
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	if machine, known := machines[architecture]; !known || program.Machine != machine {
		return fmt.Errorf("%s is for %s, not for %s", path, program.Machine, architecture)
	}
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically: the image has no libraries", path)
		}
	}
	return nil
}

// A file of the image. A nil content means a directory.
type file struct {
	name    string
	mode    int64
	content []byte
}

// content returns the files of the image, parents first.
func content(program string) ([]file, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, directory := range []string{"/etc", "/etc/ssl", "/etc/ssl/certs"} {
		files = append(files, file{name: directory, mode: 0o755})
	}
	return append(files,
		file{name: roots, mode: 0o444, content: authorities()},
		file{name: entrypoint, mode: 0o555, content: binary},
	), nil
}

// authorities returns the roots in PEM form. Those that Mozilla trusts under a condition are left out, because a file of
// certificates cannot tell the condition.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			// Writing to a buffer does not fail.
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return text.Bytes()
}

func writeRoot(root string, files []file) error {
	for _, f := range files {
		path := filepath.Join(root, f.name)
		if f.content == nil {
			if err := os.MkdirAll(path, fs.FileMode(f.mode)); err != nil {
				return err
			}
		} else if err := os.WriteFile(path, f.content, fs.FileMode(f.mode)); err != nil {
			return err
		}
	}
	return nil
}

// assemble makes an image of one layer.
func assemble(s settings, files []file) (v1.Image, error) {
	var content bytes.Buffer
	layerTar := tar.NewWriter(&content)
	for _, f := range files {
		if err := add(layerTar, f, s.created); err != nil {
			return nil, err
		}
	}
	if err := layerTar.Close(); err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil }
	layer, err := tarball.LayerFromOpener(opener,
		tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{
		Layer: layer,
		History: v1.History{
			Created:   v1.Time{Time: s.created},
			CreatedBy: "the program " + entrypoint + " and " + roots,
		},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created = v1.Time{Time: s.created}
	config.OS, config.Architecture = "linux", s.architecture
	config.Config = v1.Config{
		User:       user,
		Entrypoint: []string{entrypoint},
		WorkingDir: "/",
		Labels:     labels(s),
	}
	return mutate.ConfigFile(image, config)
}

func labels(s settings) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "tap-operator",
		"org.opencontainers.image.description": "Microsoft Entra Temporary Access Passes the Kubernetes way",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     s.version,
		"org.opencontainers.image.revision":    s.commit,
		"org.opencontainers.image.source":      s.source,
		"org.opencontainers.image.created":     s.created.Format(time.RFC3339),
	}
}

// writeArchive writes an OCI layout with one image as a tar file.
func writeArchive(path string, image v1.Image, s settings) error {
	directory, err := os.MkdirTemp(filepath.Dir(path), ".image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	to, err := layout.Write(directory, empty.Index)
	if err != nil {
		return err
	}
	err = to.AppendImage(image,
		layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": s.version}),
		layout.WithPlatform(v1.Platform{OS: "linux", Architecture: s.architecture}))
	if err != nil {
		return err
	}
	archive, err := os.Create(path)
	if err != nil {
		return err
	}
	defer archive.Close()
	writer := tar.NewWriter(archive)
	// In lexical order.
	err = filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == directory {
			return err
		}
		name := path[len(directory):]
		if entry.IsDir() {
			return add(writer, file{name: name, mode: 0o755}, s.created)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return add(writer, file{name: name, mode: 0o644, content: content}, s.created)
	})
	if err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return archive.Close()
}

// add writes a file, owned by root, to a tar archive.
func add(to *tar.Writer, f file, modified time.Time) error {
	header := tar.Header{
		Name: f.name[1:], Mode: f.mode, Size: int64(len(f.content)),
		ModTime: modified, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
	}
	if f.content == nil {
		header.Name += "/"
		header.Typeflag = tar.TypeDir
	}
	if err := to.WriteHeader(&header); err != nil {
		return err
	}
	_, err := to.Write(f.content)
	return err
}
