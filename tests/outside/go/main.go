// Command outside judges what the ledger publishes with the Go implementations of C2SP's formats:
// nothing here is ours but the order of the calls.
//
//	outside DIR
//	outside post-quantum DIR
//
// DIR holds policy, entry and proof, and a log as tlog-tiles lays it out: checkpoint, tile/….
// For the second form it holds post-quantum, a note, and vkeys, one verifier key a line.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	flog "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	fproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/formats/witness"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

type folder string

func (f folder) read(name string) []byte {
	data, err := os.ReadFile(filepath.Join(string(f), filepath.FromSlash(name)))
	must(err)
	return data
}

func (f folder) Height() int { return tileHeight }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		// x/mod writes the height into the path, tlog-tiles does not.
		found = append(found, f.read(strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
	}
	return found, nil
}

func must(err error) {
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

func check(ok bool, what string) {
	if !ok {
		must(fmt.Errorf("%s", what))
	}
}

// checkpoint returns the tree of a checkpoint that the policy is satisfied with.
func checkpoint(raw []byte, policy []byte) *flog.Checkpoint {
	group, err := witness.ParsePolicy(withAddresses(policy))
	must(err)
	check(group.Satisfied(raw), "the policy is not satisfied")
	origin, _, _ := strings.Cut(string(raw), "\n")
	for _, line := range strings.Split(string(policy), "\n") {
		if vkey, ok := strings.CutPrefix(line, "log "); ok {
			verifier, err := fnote.NewVerifier(vkey)
			must(err)
			if found, _, _, err := flog.ParseCheckpoint(raw, origin, verifier); err == nil {
				return found
			}
		}
	}
	must(fmt.Errorf("no key of the log has signed"))
	return nil
}

// withAddresses gives every witness the URL that this parser wants and the format leaves open.
func withAddresses(policy []byte) []byte {
	lines := strings.Split(string(policy), "\n")
	for i, line := range lines {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "witness" {
			lines[i] += " https://witness.invalid/" + words[1]
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// postQuantum opens a note with ML-DSA-44 cosignatures and prints whose of them are good.
func postQuantum(f folder) {
	var verifiers []note.Verifier
	for _, vkey := range strings.Fields(string(f.read("vkeys"))) {
		verifier, err := fnote.NewVerifierForCosignatureV1(vkey)
		must(err)
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(f.read("post-quantum"), note.VerifierList(verifiers...))
	must(err)
	check(len(opened.UnverifiedSigs) == 0, "a line is of no known key")
	for _, signature := range opened.Sigs {
		at, err := fnote.CoSigV1Timestamp(signature)
		must(err)
		fmt.Printf("cosigned: %s at %d\n", signature.Name, at.Unix())
	}
}

func main() {
	if os.Args[1] == "post-quantum" {
		postQuantum(folder(os.Args[2]))
		return
	}
	f := folder(os.Args[1])
	policy := f.read("policy")

	var parsed fproof.TLogProof
	raw := f.read("proof")
	must(parsed.Unmarshal(raw))
	check(bytes.Equal(parsed.Marshal(), raw), "the proof is written otherwise")
	tree := checkpoint(parsed.Checkpoint, policy)
	var path [][]byte
	for i := range parsed.Hashes {
		path = append(path, parsed.Hashes[i][:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(f.read("entry"))
	must(proof.VerifyInclusion(rfc6962.DefaultHasher, parsed.Index, tree.Size, leaf, path, tree.Hash))
	fmt.Printf("proof: entry %d of %d\n", parsed.Index, tree.Size)

	// Every entry and every tile, against the newest checkpoint.
	tree = checkpoint(f.read("checkpoint"), policy)
	head := tlog.Tree{N: int64(tree.Size), Hash: tlog.Hash(tree.Hash)}
	reader := tlog.TileHashReader(head, f)
	for begin := int64(0); begin < head.N; begin += 1 << tileHeight {
		width := min(head.N-begin, 1<<tileHeight)
		tile := tlog.Tile{H: tileHeight, L: 0, N: begin >> tileHeight, W: int(width)}
		bundle := f.read(strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1))
		for index := begin; index < begin+width; index++ {
			length := int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2 : 2+length]
			bundle = bundle[2+length:]
			found, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
			must(err)
			check(found[0] == tlog.RecordHash(entry), fmt.Sprintf("entry %d is another", index))
		}
		check(len(bundle) == 0, "a bundle has more than its entries")
	}
	fmt.Printf("log: %d entries\n", tree.Size)
}
