package train

// Config is every setting of a run. Its JSON form is the run folder's
// config.json, which --config accepts back; its YAML keys are the same.
type Config struct {
	Name string `json:"name,omitempty" yaml:"name,omitempty"` // run's name; "" makes model_YYYYmmdd_HHMM
	Runs string `json:"runs" yaml:"runs"`                     // folder that holds the run folders

	Data       string `json:"data" yaml:"data"`             // auto, demo or a folder
	ValSplit   int    `json:"val_split" yaml:"val_split"`   // training images held out for validation; 0: validate on the test set
	Preprocess string `json:"preprocess" yaml:"preprocess"` // unit, signed, mean or standard
	Augment    bool   `json:"augment" yaml:"augment"`       // shifts and flips
	Shuffle    bool   `json:"shuffle" yaml:"shuffle"`       // a new order each epoch

	Batch    int     `json:"batch" yaml:"batch"`
	Epochs   int     `json:"epochs" yaml:"epochs"`
	MaxSteps int64   `json:"max_steps,omitempty" yaml:"max_steps,omitempty"` // stop after so many batches in all; 0: no limit
	Seed     uint64  `json:"seed" yaml:"seed"`
	Threads  int     `json:"threads" yaml:"threads"` // 0: what the process may use
	Dropout  float64 `json:"dropout" yaml:"dropout"` // share of units dropped, in [0,1)

	Optimizer   string  `json:"optimizer" yaml:"optimizer"` // adadelta, sgd, adam or adamw
	LR          float64 `json:"lr" yaml:"lr"`               // 0: the optimizer's own default
	Momentum    float64 `json:"momentum" yaml:"momentum"`   // sgd, Nesterov
	WeightDecay float64 `json:"weight_decay" yaml:"weight_decay"`
	Schedule    string  `json:"schedule" yaml:"schedule"` // constant, step, cosine or onecycle

	Monitor         string  `json:"monitor" yaml:"monitor"`                   // val_acc or val_loss
	Patience        int     `json:"patience" yaml:"patience"`                 // epochs without a better value before stopping; 0: never
	MinDelta        float64 `json:"min_delta" yaml:"min_delta"`               // what counts as better
	CheckpointEvery int     `json:"checkpoint_every" yaml:"checkpoint_every"` // also keep the weights every so many epochs; 0: only the best
	Init            string  `json:"init,omitempty" yaml:"init,omitempty"`     // safetensors file with the first weights
}
