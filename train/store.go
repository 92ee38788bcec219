package train

// LastFile is the checkpoint that a run is resumed from.
const LastFile = "last.ckpt"
