package chaintest

import (
	"crypto/sha256"
	"fmt"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// MiningAddress is the regtest address to which a Node or a Chain pays its
// coinbases, so that the wallet with that seed can spend them.
func MiningAddress(seed string) chain.Address {
	own, err := newOwned(privateKey(seed, "mining"), chain.P2WPKH)
	if err != nil {
		panic(err) // the key is ours and the kind is known
	}
	return own.address
}

// privateKey derives a key; the same words give the same key everywhere.
func privateKey(seed, use string) *btcec.PrivateKey {
	secret := sha256.Sum256([]byte("btcwatch chaintest/" + seed + "/" + use))
	key, _ := btcec.PrivKeyFromBytes(secret[:])
	return key
}

// bareKey is the script of a public key alone, which has no address.
const bareKey chain.Kind = "P2PK"

// owned is a script that a key can spend.
type owned struct {
	key     *btcec.PrivateKey
	address chain.Address
	redeem  []byte // what the script is the hash of, for P2SH and P2WSH
}

func newOwned(key *btcec.PrivateKey, kind chain.Kind) (*owned, error) {
	public := key.PubKey().SerializeCompressed()
	hash := address.Hash160(public)
	bare := append(append([]byte{txscript.OP_DATA_33}, public...), txscript.OP_CHECKSIG)
	params := &chaincfg.RegressionNetParams

	own := &owned{key: key}
	var to address.Address
	var err error
	switch kind {
	case bareKey:
		own.address = chain.Address{Kind: bareKey, Script: bare}
		return own, nil
	case chain.P2PKH:
		to, err = address.NewAddressPubKeyHash(hash, params)
	case chain.P2WPKH:
		to, err = address.NewAddressWitnessPubKeyHash(hash, params)
	case chain.P2SH:
		own.redeem = append([]byte{txscript.OP_0, txscript.OP_DATA_20}, hash...)
		to, err = address.NewAddressScriptHash(own.redeem, params)
	case chain.P2WSH:
		own.redeem = bare
		program := sha256.Sum256(bare)
		to, err = address.NewAddressWitnessScriptHash(program[:], params)
	case chain.P2TR:
		output := txscript.ComputeTaprootKeyNoScript(key.PubKey())
		to, err = address.NewAddressTaproot(output.SerializeCompressed()[1:], params)
	default:
		return nil, fmt.Errorf("no key for a script of kind %q", kind)
	}
	if err != nil {
		return nil, err
	}
	script, err := txscript.PayToAddrScript(to)
	own.address = chain.Address{Text: to.EncodeAddress(), Kind: kind, Script: script}
	return own, err
}

// sign fills in the signature of one input that spends an amount paid to the
// script.
func (o *owned) sign(tx *wire.MsgTx, hashes *txscript.TxSigHashes, i int, amount int64) (err error) {
	in, script := tx.TxIn[i], o.address.Script
	switch o.address.Kind {
	case bareKey:
		var signature []byte
		if signature, err = txscript.RawTxInSignature(tx, i, script, txscript.SigHashAll, o.key); err == nil {
			in.SignatureScript, err = txscript.NewScriptBuilder().AddData(signature).Script()
		}
	case chain.P2PKH:
		in.SignatureScript, err = txscript.SignatureScript(tx, i, script, txscript.SigHashAll, o.key, true)
	case chain.P2WPKH:
		in.Witness, err = txscript.WitnessSignature(tx, hashes, i, amount, script, txscript.SigHashAll, o.key, true)
	case chain.P2SH:
		in.SignatureScript = append([]byte{byte(len(o.redeem))}, o.redeem...)
		in.Witness, err = txscript.WitnessSignature(tx, hashes, i, amount, o.redeem, txscript.SigHashAll, o.key, true)
	case chain.P2WSH:
		var signature []byte
		signature, err = txscript.RawTxInWitnessSignature(tx, hashes, i, amount, o.redeem, txscript.SigHashAll, o.key)
		in.Witness = wire.TxWitness{signature, o.redeem}
	case chain.P2TR:
		in.Witness, err = txscript.TaprootWitnessSignature(tx, hashes, i, amount, script, txscript.SigHashDefault, o.key)
	}
	return err
}
